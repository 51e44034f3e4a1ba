import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { innermost } from '../../world/exec.ts';
import type { Lab } from '../../world/lab.ts';
import { LoadError } from './load-client.ts';

const START_MS = 30_000;
const LOOK_MS = 10;

/** A program of the benchmark in a pod of a lab; ends with its disposal, or with the lab. */
export interface InLab extends AsyncDisposable {
  readonly pid: number;
}

export interface InLabOptions {
  readonly name: string;
  readonly env?: Readonly<Record<string, string>>;
  /** It is up once it has said this; at once when absent. */
  readonly says?: string;
}

/** Starts a program in a pod, what it says on standard error in the lab's logs. */
export async function startInLab(
  lab: Lab,
  pod: string,
  argv: readonly string[],
  { name, env = {}, says }: InLabOptions,
): Promise<InLab> {
  const [file = '', ...args] = lab.execArgv(pod, argv, { env });
  const log = openSync(join(lab.directory, 'logs', `${name}.log`), 'a', 0o600);
  const stdout = says === undefined ? log : 'pipe';
  const child = spawn(file, args, { stdio: ['ignore', stdout, log] });
  closeSync(log);
  if (says !== undefined) await untilSaid(child, name, says);
  return { pid: await pidOf(child, name), [Symbol.asyncDispose]: () => end(child) };
}

async function untilSaid(child: ChildProcess, name: string, wished: string): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string): void => reject(new LoadError(`Cannot start ${name}: ${why}`));
    const timer = setTimeout(() => fail(`no word for ${START_MS} ms`), START_MS);
    child.stdout?.on('data', (part: Buffer) => {
      said += part.toString();
      if (!said.includes(wished)) return;
      clearTimeout(timer);
      resolve();
    });
    child.once('exit', (code) => fail(`it ended with ${code}`));
  });
}

/** The program itself, below the tools that brought it into its namespaces. */
async function pidOf(child: ChildProcess, name: string): Promise<number> {
  for (const until = Date.now() + START_MS; Date.now() < until; await sleep(LOOK_MS)) {
    const [pid] = innermost(child.pid);
    if (pid !== undefined && pid !== child.pid) return pid;
    if (child.exitCode !== null) break;
  }
  throw new LoadError(`Cannot start ${name}: it has ended, or never began`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  // Its end is theirs: each has asked for a death signal.
  child.kill('SIGKILL');
  await exited;
}
