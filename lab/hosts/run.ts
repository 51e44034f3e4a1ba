import { execa } from 'execa';

/** What a finished program left behind. */
export interface Finished {
  readonly argv: readonly string[];
  /** 128 + signal number when a signal ended it; 127 when it could not be started. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
}

/**
 * Runs a program to its end and never throws for what it answers: callers judge the exit code.
 * The argument list is passed as it is; no shell sees it.
 */
export async function runProgram(
  argv: readonly [string, ...string[]],
  options: RunOptions = {},
): Promise<Finished> {
  const [file, ...args] = argv;
  const done = await execa(file, args, {
    reject: false,
    ...(options.input === undefined ? { stdin: 'ignore' } : { input: options.input }),
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  });
  const exitCode = done.exitCode ?? (done.code === 'ENOENT' ? 127 : 128 + 9);
  return {
    argv,
    exitCode,
    stdout: done.stdout ?? '',
    stderr: done.stderr ?? done.shortMessage ?? '',
  };
}
