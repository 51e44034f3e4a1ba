import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { spawnIn } from './child-table.ts';

/** A program's end, with the beginning of what it said. */
export interface Captured {
  /** 128 + n when signal n ended it, 127 when it could not be started. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CaptureOutputOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Bytes kept of each stream; more is read and thrown away. */
  readonly maxBytes?: number;
  /** It is killed after this. */
  readonly timeoutMs: number;
  readonly netnsFd?: number;
}

/** Runs a program to its end; never throws for what it answers. */
export function runCaptured(
  argv: readonly string[],
  options: CaptureOutputOptions,
): Promise<Captured> {
  const { env = process.env, maxBytes = 64 * 1024, timeoutMs, netnsFd, input } = options;
  const stdin = input === undefined ? 'ignore' : 'pipe';
  const child = spawnIn(netnsFd, argv, { env: { ...env }, stdio: [stdin, 'pipe', 'pipe'] });
  const stdout = keepBeginning(child.stdout, maxBytes);
  const stderr = keepBeginning(child.stderr, maxBytes);
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  return new Promise((resolve) => {
    const finish = (exitCode: number, fault = ''): void => {
      clearTimeout(timer);
      resolve({ exitCode, stdout: stdout(), stderr: `${stderr()}${fault}` });
    };
    child.once('error', (error) => finish(127, error.message));
    child.once('close', (code, signal) => finish(exitCodeOf(code, signal)));
  });
}

/** As a shell says it: 128 + n for signal n. */
export function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}

function keepBeginning(stream: ChildProcess['stdout'], maxBytes: number): () => string {
  const parts: Buffer[] = [];
  let bytes = 0;
  stream?.on('data', (chunk: Buffer) => {
    if (bytes < maxBytes) parts.push(chunk.subarray(0, maxBytes - bytes));
    bytes += chunk.length;
  });
  return () => Buffer.concat(parts).toString('utf8');
}
