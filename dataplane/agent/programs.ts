import { spawn } from 'node:child_process';
import { withNetns } from '../kernel/netns.ts';
import type { IptablesBackend } from '../redirect/era.ts';
import { ProgramError } from './errors.ts';

/** Programs of the machine that the agent starts; names on PATH, or paths. */
export interface Programs {
  readonly iptablesRestore: string;
  readonly iptablesSave: string;
  readonly ip6tablesRestore: string;
  readonly ip6tablesSave: string;
  readonly ipset: string;
  readonly nft: string;
  /** Backend of the iptables programs; absent when nobody has found out. */
  readonly backend?: IptablesBackend;
}

export const DEFAULT_PROGRAMS: Programs = {
  iptablesRestore: 'iptables-restore',
  iptablesSave: 'iptables-save',
  ip6tablesRestore: 'ip6tables-restore',
  ip6tablesSave: 'ip6tables-save',
  ipset: 'ipset',
  nft: 'nft',
};

/** The programs of one backend by the names that Debian, Fedora and Alpine give them. */
export function programsOf(backend: IptablesBackend, base = DEFAULT_PROGRAMS): Programs {
  return {
    ...base,
    iptablesRestore: `iptables-${backend}-restore`,
    iptablesSave: `iptables-${backend}-save`,
    ip6tablesRestore: `ip6tables-${backend}-restore`,
    ip6tablesSave: `ip6tables-${backend}-save`,
    backend,
  };
}

export interface RunOptions {
  /** Descriptor of the netns that the program is born in; this process's own when absent. */
  readonly netns?: number | undefined;
  readonly input?: string;
  readonly signal?: AbortSignal | undefined;
}

const TIMEOUT_MS = 20_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/**
 * Runs a program to its end and gives its standard output.
 * @throws {ProgramError} when it cannot start, ends with another status than 0, or takes too long
 */
export async function runProgram(
  argv: readonly [string, ...string[]],
  options: RunOptions = {},
): Promise<string> {
  const [file, ...args] = argv;
  options.signal?.throwIfAborted();
  const start = () => spawn(file, args, { stdio: 'pipe', timeout: TIMEOUT_MS });
  const child = options.netns === undefined ? start() : withNetns(options.netns, start);
  const stdout = collect(child.stdout, () => child.kill('SIGKILL'));
  const stderr = collect(child.stderr, () => child.kill('SIGKILL'));
  // A program that ends before it has read everything says so by its status.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on('error', (error) => reject(new ProgramError(argv, null, '', error)));
    child.on('close', resolve);
  });
  if (exitCode === 0) return stdout();
  throw new ProgramError(argv, exitCode, stderr());
}

function collect(stream: NodeJS.ReadableStream, onFlood: () => void): () => string {
  const parts: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes > MAX_OUTPUT_BYTES) onFlood();
    else parts.push(part);
  });
  return () => Buffer.concat(parts).toString('utf8');
}
