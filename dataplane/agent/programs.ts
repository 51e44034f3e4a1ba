import { spawn } from 'node:child_process';
import { splitTapped, TAP_FD, tapEnvironment } from '../kernel/batch-tap.ts';
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
  /** Told of each batch that the program sends to nf_tables; of none where that cannot be seen. */
  readonly tap?: ((batch: Buffer) => void) | undefined;
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
  const env = options.tap === undefined ? undefined : tapEnvironment(process.env);
  const stdio: ('pipe' | 'ignore')[] = ['pipe', 'pipe', 'pipe'];
  if (env !== undefined) stdio.push('pipe');
  const start = () => spawn(file, args, { stdio, timeout: TIMEOUT_MS, ...(env && { env }) });
  const child = options.netns === undefined ? start() : withNetns(options.netns, start);
  const kill = (): void => void child.kill('SIGKILL');
  const stdout = collect(child.stdout!, kill);
  const stderr = collect(child.stderr!, kill);
  const tapped = env && collect(child.stdio[TAP_FD] as NodeJS.ReadableStream, kill);
  // A program that ends before it has read everything says so by its status.
  child.stdin!.on('error', () => {});
  child.stdin!.end(options.input ?? '');
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on('error', (error) => reject(new ProgramError(argv, null, '', error)));
    child.on('close', resolve);
  });
  if (exitCode !== 0) throw new ProgramError(argv, exitCode, stderr().toString('utf8'));
  if (tapped) splitTapped(tapped()).forEach((batch) => options.tap?.(batch));
  return stdout().toString('utf8');
}

function collect(stream: NodeJS.ReadableStream, onFlood: () => void): () => Buffer {
  const parts: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes > MAX_OUTPUT_BYTES) onFlood();
    else parts.push(part);
  });
  return () => Buffer.concat(parts);
}
