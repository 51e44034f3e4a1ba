import { runProgram } from '../hosts/run.ts';
import { LabError } from '../world/errors.ts';
import type { Lab } from '../world/lab.ts';
import type { Listener, PodEvidence, Readings } from './evidence.ts';

const TIMEOUT_MS = 10_000;

/** Settings that have cost people days, of every namespace. */
const KEYS = [
  'net.ipv4.conf.all.rp_filter',
  'net.ipv4.conf.default.rp_filter',
  'net.ipv6.conf.all.disable_ipv6',
  'net.ipv6.conf.default.disable_ipv6',
  'net.ipv6.conf.lo.disable_ipv6',
];

/** Listening TCP sockets of a namespace with their owners. */
export async function readListeners(lab: Lab, place: string): Promise<readonly Listener[]> {
  const text = await readIn(lab, place, ['ss', '-H', '-ltnpe']);
  return text.split('\n').flatMap((line) => parseListener(line) ?? []);
}

/** Kernel settings of a namespace; those that the kernel has not are left out. */
export async function readSettings(lab: Lab, place: string): Promise<PodEvidence['settings']> {
  const text = await readIn(lab, place, ['sysctl', '-e', ...KEYS]);
  const pairs = text.split('\n').map((line) => line.split(' = '));
  return Object.fromEntries(
    pairs.flatMap(([key, value]) =>
      key === undefined || value === undefined ? [] : [[key, value]],
    ),
  );
}

/** Settings of a namespace, and what its kernel has dropped without telling. */
export async function readReadings(lab: Lab, place: string): Promise<Readings> {
  const [settings, netstat] = await Promise.all([
    readSettings(lab, place),
    readIn(lab, place, ['cat', '/proc/net/netstat']),
  ]);
  return { settings, reversePathDrops: counterOf(netstat, 'TcpExt:', 'IPReversePathFilter') };
}

/** A counter of /proc/net/netstat, whose lines come in pairs: names, then values. */
function counterOf(netstat: string, group: string, name: string): number {
  const [names = [], values = []] = netstat
    .split('\n')
    .filter((line) => line.startsWith(group))
    .map((line) => line.split(' '));
  return Number(values[names.indexOf(name)] ?? 0);
}

/** What a program prints in a place. @throws LabError LAB_PROGRAM_FAILED */
export async function readIn(
  lab: Lab,
  place: string,
  argv: readonly [string, ...string[]],
): Promise<string> {
  const [file = '', ...args] = lab.execArgv(place, argv);
  const done = await runProgram([file, ...args], { timeoutMs: TIMEOUT_MS });
  if (done.exitCode === 0) return done.stdout;
  throw new LabError(
    'LAB_PROGRAM_FAILED',
    `Cannot read "${place}": ${argv.join(' ')} ended with ${done.exitCode}: ${done.stderr.trim()}`,
  );
}

/** `LISTEN 0 128 *:15001 *:* users:(("node",pid=26,fd=49)) …` */
export function parseListener(line: string): Listener | undefined {
  const [state, , , local = ''] = line.trim().split(/\s+/);
  const at = local.lastIndexOf(':');
  const port = Number(local.slice(at + 1));
  if (state !== 'LISTEN' || at < 0 || !Number.isInteger(port)) return undefined;
  const [, program, pid] = /users:\(\("([^"]*)",pid=(\d+)/.exec(line) ?? [];
  return {
    address: local.slice(0, at),
    port,
    ...(program === undefined ? {} : { program, pid: Number(pid) }),
    line: withoutDetails(line),
  };
}

/** Numbers of the kernel's own that nobody can look up. */
function withoutDetails(line: string): string {
  const words = line.trim().split(/\s+/);
  return words.filter((word) => !/^(ino|sk|cgroup|v6only):|^<->$/.test(word)).join(' ');
}
