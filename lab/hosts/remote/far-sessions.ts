import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { FILES, sessionOf } from './orders.ts';

/** In the folder of a session: the name of the socket that lives as long as it. */
const SOCKET = 'socket';
/** In the folder of a session: directories and files of results, one a line. */
const RESULTS = 'results';

/** Results that nobody has fetched, since the connection died, wait for so long. */
const KEPT_MS = 24 * 60 * 60 * 1000;

/** Makes the folder of a session that begins, and removes those of old dead ones. */
export async function beginSession(
  folder: string,
  session: string,
  socket: string,
): Promise<{ readonly resultList: string }> {
  await removeOldSessions(folder);
  const path = sessionOf(folder, session);
  mkdirSync(join(path, FILES), { recursive: true, mode: 0o700 });
  writeFileSync(join(path, SOCKET), socket);
  return { resultList: join(path, RESULTS) };
}

/** What a session has left, as absolute paths. */
export function resultsOf(folder: string, session: string): readonly string[] {
  const path = sessionOf(folder, session);
  const files = readdirSync(join(path, FILES)).map((name) => join(path, FILES, name));
  return [...new Set([...linesOf(join(path, RESULTS)), ...files])].filter((file) =>
    existsSync(file),
  );
}

export function endSession(folder: string, session: string): void {
  rmSync(sessionOf(folder, session), { recursive: true, force: true });
}

/** Sessions whose program still runs. */
export async function liveSessions(folder: string): Promise<readonly string[]> {
  const live: string[] = [];
  for (const session of sessionsOf(folder)) if (await isLive(folder, session)) live.push(session);
  return live;
}

async function removeOldSessions(folder: string): Promise<void> {
  for (const session of sessionsOf(folder)) {
    const stat = statSync(sessionOf(folder, session), { throwIfNoEntry: false });
    if (stat === undefined || Date.now() - stat.mtimeMs < KEPT_MS) continue;
    if (!(await isLive(folder, session))) endSession(folder, session);
  }
}

function sessionsOf(folder: string): readonly string[] {
  try {
    return readdirSync(join(folder, 'sessions'));
  } catch {
    return [];
  }
}

function isLive(folder: string, session: string): Promise<boolean> {
  const [name = ''] = linesOf(join(sessionOf(folder, session), SOCKET));
  return new Promise((resolve) => {
    const socket = connect(`\0${name}`);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function linesOf(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}
