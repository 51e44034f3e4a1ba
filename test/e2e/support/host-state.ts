import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** What a lab must not change on the machine, each part as lines of text. */
export interface HostState {
  readonly links: readonly string[];
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
  readonly rules: readonly string[];
  readonly netfilter: readonly string[];
  readonly sysctls: readonly string[];
  readonly mounts: readonly string[];
  readonly netnsNames: readonly string[];
  readonly etc: readonly string[];
  /** Names in /run and /run/lock; those of labs, which come and go beside each other, aside. */
  readonly run: readonly string[];
}

/** Counters, and files that reading changes or refuses. */
const VOLATILE =
  /^(net\/netfilter\/nf_conntrack_count|net\/.*\/flush|net\/ipv4\/tcp_fastopen_key|net\/.*\/stable_secret)$/;

/** Reads everything anew. Nothing is changed by looking: rules are listed, never flushed. */
export function readHostState(): HostState {
  return {
    links: run('ip', '-o', '-d', 'link'),
    addresses: run('ip', '-o', 'address').map((line) => line.replace(/valid_lft.*$/, '')),
    routes: [...run('ip', 'route', 'show', 'table', 'all'), ...run('ip', '-6', 'route')],
    rules: [...run('ip', 'rule'), ...run('ip', '-6', 'rule')],
    netfilter: [
      ...run('nft', 'list', 'ruleset'),
      ...run('iptables-legacy-save').filter((line) => !/^[#:]/.test(line)),
    ],
    sysctls: readSysctls('/proc/sys/net', 'net'),
    mounts: lines(readFileSync('/proc/self/mountinfo', 'utf8')),
    netnsNames: list('/run/netns'),
    etc: readTree('/etc'),
    run: [...list('/run').filter((name) => name !== 'ambient-lab'), ...list('/run/lock')],
  };
}

/** Parts that differ, with the lines that came and went; empty when nothing does. */
export function diffHostState(before: HostState, after: HostState): string[] {
  return (Object.keys(before) as (keyof HostState)[]).flatMap((part) => {
    const was = new Set(before[part]);
    const is = new Set(after[part]);
    return [
      ...before[part].filter((line) => !is.has(line)).map((line) => `${part} - ${line}`),
      ...after[part].filter((line) => !was.has(line)).map((line) => `${part} + ${line}`),
    ];
  });
}

/** Inodes of a kind of namespace that live processes are in, and how many are in each. */
export function namespacesInUse(kind: 'net' | 'pid' | 'mnt'): Map<string, number> {
  const counts = new Map<string, number>();
  for (const pid of list('/proc').filter((name) => /^\d+$/.test(name))) {
    const inode = readLink(`/proc/${pid}/ns/${kind}`);
    if (inode !== undefined) counts.set(inode, (counts.get(inode) ?? 0) + 1);
  }
  return counts;
}

/** Namespace of a process, such as `net:[4026531840]`. */
export function namespaceOf(pid: number, kind: 'net' | 'pid' | 'mnt'): string | undefined {
  return readLink(`/proc/${pid}/ns/${kind}`);
}

function run(file: string, ...args: readonly string[]): string[] {
  return lines(execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

function readSysctls(directory: string, name: string): string[] {
  return list(directory).flatMap((entry) => {
    const path = join(directory, entry);
    const key = `${name}/${entry}`;
    if (lstatSync(path).isDirectory()) return readSysctls(path, key);
    if (VOLATILE.test(key)) return [];
    try {
      return [`${key}=${readFileSync(path, 'utf8').trim()}`];
    } catch {
      return [];
    }
  });
}

function readTree(directory: string): string[] {
  return list(directory).flatMap((entry) => {
    const path = join(directory, entry);
    const { size, mtimeMs, mode } = lstatSync(path);
    const own = `${path} ${mode.toString(8)} ${size} ${mtimeMs}`;
    return lstatSync(path).isDirectory() ? [own, ...readTree(path)] : [own];
  });
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
