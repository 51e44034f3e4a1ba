import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { endGroup } from './far-end-group.ts';
import { beginSession, endSession, resultsOf } from './far-sessions.ts';
import { leashSocket, projectOf, RESULTS_LINE, SIGNAL_LINE, type RunOrder } from './orders.ts';

const LEASH_WAIT_MS = 60_000;
const CANNOT_RUN = 3;
/** What people send; more is not taken from a leash. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * Runs a verb on its leash: the program has our own streams and terminal, and the leash, a second
 * channel of the same connection, brings signals and signs of life. When the leash is cut, or silent
 * for too long, the program and all that it has started are ended: sshd tells a program without a
 * terminal nothing when its connection is gone.
 */
export async function farRun(order: RunOrder): Promise<number> {
  const { folder, session } = order;
  const { resultList } = await beginSession(folder, session, order.socket);
  const heard = { at: performance.now() };
  const leash = await awaitLeash(order.socket, (line) => {
    heard.at = performance.now();
    if (line.startsWith(SIGNAL_LINE)) signalGroup(line.slice(SIGNAL_LINE.length));
  });
  // Those that come from a terminal are for the program, which is in our own group.
  for (const name of SIGNALS) process.on(name, () => {});
  const ended = startVerb(order, resultList);
  const code = await Promise.race([ended, cut(leash, heard, order.silenceMs)]);
  if (code === undefined) {
    await endGroup();
    return CANNOT_RUN;
  }
  if (resultsOf(folder, session).length === 0) endSession(folder, session);
  else if (leash.writable) await new Promise<void>((done) => leash.end(`${RESULTS_LINE}\n`, done));
  return code;
}

async function startVerb(
  { folder, args, cwd, environment }: RunOrder,
  resultList: string,
): Promise<number> {
  const project = projectOf(folder);
  const argv = [join(project, 'scripts', 'bootstrap.mjs'), 'lab', ...args];
  const child = spawn(process.execPath, argv, {
    cwd: project,
    stdio: 'inherit',
    env: {
      ...process.env,
      ...environment,
      INIT_CWD: join(project, cwd),
      AMBIENT_LAB_RESULT_LIST: resultList,
    },
  });
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  return code ?? 128 + constants.signals[signal ?? 'SIGKILL'];
}

/** The first who shows the secret whose digest is the socket's name. */
async function awaitLeash(name: string, onLine: (line: string) => void): Promise<Socket> {
  // It stays open for as long as we live, which tells others that we do.
  const server = createServer();
  server.listen(`\0${name}`);
  return new Promise((resolve, reject) => {
    const patience = setTimeout(
      () => reject(new Error('Cannot run: the other half of the connection never came')),
      LEASH_WAIT_MS,
    );
    server.once('error', reject);
    server.on('connection', (socket) => {
      let isTrusted = false;
      socket.on('error', () => socket.destroy());
      createInterface({ input: socket }).on('line', (line) => {
        if (isTrusted) return onLine(line);
        isTrusted = leashSocket(line) === name;
        if (!isTrusted) return void socket.destroy();
        clearTimeout(patience);
        resolve(socket);
      });
    });
  });
}

/** Settles when the leash is cut, or has been silent for too long. */
function cut(leash: Socket, heard: { readonly at: number }, silenceMs: number): Promise<undefined> {
  return new Promise((resolve) => {
    leash.on('close', () => resolve(undefined));
    leash.on('end', () => resolve(undefined));
    if (leash.destroyed || leash.readableEnded) resolve(undefined);
    setInterval(() => {
      if (performance.now() - heard.at > silenceMs) resolve(undefined);
    }, silenceMs / 6).unref();
  });
}

/** The program and whatever it runs meanwhile, as Ctrl-C would. We are in that group and take no notice. */
function signalGroup(name: string): void {
  const signal = SIGNALS.find((known) => known === name);
  if (signal !== undefined) process.kill(0, signal);
}
