import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { createGunzip } from 'node:zlib';
import { liveSessions } from './far-sessions.ts';
import { projectOf, SENT } from './orders.ts';
import { readTar, type ReadEntry } from './tar.ts';

/** Paths of what was unpacked last, one a line, so that what git tracks no longer is removed. */
const PATHS = 'paths';
const LOCK_WAIT_MS = 120_000;
const LOCK_LOOK_MS = 100;

/**
 * Makes the project in `folder` what the archive holds. Files that are the same keep their times, so
 * that only what changed is built anew; what set-up has made there stays.
 *
 * @throws Error while a verb of that clone runs there, whose programs must not change
 */
export async function farUnpack(folder: string, digest: string, stream: Readable): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const lock = await takeLock(folder);
  const running = await liveSessions(folder);
  if (running.length > 0) {
    throw new Error(
      'Cannot send the changed project: a verb of this clone is running over there, its end was wished',
    );
  }
  rmSync(join(folder, SENT), { force: true });
  const project = projectOf(folder);
  const paths: string[] = [];
  for await (const entry of readTar(stream.pipe(createGunzip()))) {
    paths.push(entry.path);
    await place(project, entry);
  }
  removeFormer(folder, new Set(paths));
  writeFileSync(join(folder, PATHS), paths.join('\n'));
  writeFileSync(join(folder, SENT), digest);
  lock.close();
}

/** An abstract socket is one owner's, and free however that ends. */
async function takeLock(folder: string): Promise<Server> {
  const name = `\0ambient-lab-unpack-${createHash('sha256').update(folder).digest('hex')}`;
  const until = Date.now() + LOCK_WAIT_MS;
  for (;;) {
    const server = createServer();
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(name, resolve);
      });
      return server;
    } catch (error) {
      if (Date.now() > until) throw error;
      await delay(LOCK_LOOK_MS);
    }
  }
}

async function place(project: string, entry: ReadEntry): Promise<void> {
  const path = join(project, entry.path);
  mkdirSync(dirname(path), { recursive: true });
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (entry.kind === 'link') {
    if (stat?.isSymbolicLink() === true && readlinkSync(path) === entry.target) return;
    rmSync(path, { recursive: true, force: true });
    symlinkSync(entry.target, path);
    return;
  }
  if (entry.kind === 'directory') return void mkdirSync(path, { recursive: true });
  const parts: Buffer[] = [];
  for await (const part of entry.body) parts.push(part);
  const content = Buffer.concat(parts);
  const mode = entry.isExecutable ? 0o755 : 0o644;
  if (stat !== undefined && !stat.isFile()) rmSync(path, { recursive: true });
  if (stat?.isFile() === true && readFileSync(path).equals(content)) {
    if ((stat.mode & 0o777) !== mode) chmodSync(path, mode);
    return;
  }
  const fresh = `${path}.${process.pid}`;
  writeFileSync(fresh, content, { mode });
  renameSync(fresh, path);
}

function removeFormer(folder: string, paths: ReadonlySet<string>): void {
  const list = join(folder, PATHS);
  const former = existsSync(list) ? readFileSync(list, 'utf8').split('\n') : [];
  for (const path of former) {
    if (path !== '' && !paths.has(path)) rmSync(join(projectOf(folder), path), { force: true });
  }
}
