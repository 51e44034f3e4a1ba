import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeNetns, createNetns } from '../../dataplane/kernel/netns.ts';
import { LoadClient } from '../../lab/bench/mesh/load-client.ts';
import { programArgv } from '../../lab/world/programs.ts';

export const HTTP_PORT = 8080;
export const SINK_PORT = 8090;

/** The measured app and a load generator in a network namespace of their own. */
export interface LoadTarget extends AsyncDisposable {
  readonly app: ChildProcess;
  readonly load: LoadClient;
  /** The argument list that runs a program beside them. */
  readonly argvIn: (argv: readonly string[]) => readonly string[];
}

export async function startLoadTarget(): Promise<LoadTarget> {
  const netns = createNetns();
  const argvIn = (argv: readonly string[]): readonly string[] => [
    ...['nsenter', `--net=/proc/${process.pid}/fd/${netns}`, '--'],
    ...['setpriv', '--pdeathsig', 'KILL', '--', ...argv],
  ];
  run(argvIn(['ip', 'link', 'set', 'lo', 'up']));
  const ports = [HTTP_PORT, SINK_PORT, 1024].map(String);
  const [file = '', ...args] = argvIn([...programArgv('bench-app'), ...ports]);
  const app = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(app.stdout, 'data');
  const load = await LoadClient.start(argvIn(programArgv('bench-load')));
  const end = async (): Promise<void> => {
    await load[Symbol.asyncDispose]();
    const exited = once(app, 'exit');
    app.kill('SIGKILL');
    await exited;
    closeNetns(netns);
  };
  return { app, load, argvIn, [Symbol.asyncDispose]: end };
}

function run([file = '', ...args]: readonly string[]): void {
  execFileSync(file, args, { stdio: 'ignore' });
}
