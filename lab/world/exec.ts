import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { ExecOptions } from './lab.ts';
import { exitCodeOf } from './run-captured.ts';

/** Exit code for what is our own fault, as `env`, `docker exec` and others have it. */
const CANNOT_ENTER = 125;
/** A program that ignores being asked to end is killed after this. */
const GRACE_MS = 2_000;

/**
 * Runs an argument list made by `enterArgv` and resolves to its exit code; 125 when it cannot be
 * started. Standard streams are this process's own unless said otherwise. A signal that aborts it
 * asks the program, not the tools around it, to end.
 */
export function runEntered(
  argv: readonly string[],
  { stdio = 'inherit', signal }: ExecOptions = {},
): Promise<number> {
  const [file = '', ...args] = argv;
  const child = spawn(file, args, { stdio });
  const stop = (): void => {
    for (const pid of innermost(child.pid)) process.kill(pid, 'SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), GRACE_MS).unref();
  };
  signal?.addEventListener('abort', stop, { once: true });
  return new Promise((resolve) => {
    const finish = (code: number): void => {
      signal?.removeEventListener('abort', stop);
      resolve(code);
    };
    child.once('error', () => finish(CANNOT_ENTER));
    child.once('exit', (code, ended) => finish(exitCodeOf(code, ended)));
    if (signal?.aborted) stop();
  });
}

/**
 * Pids, as this process counts, of what an argument list of `enterArgv` has become: nsenter stays as
 * its parent, and passes no signals on.
 */
export function innermost(pid: number | undefined): number[] {
  if (pid === undefined) return [];
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return children === '' ? [pid] : children.split(' ').map(Number);
  } catch {
    return [];
  }
}
