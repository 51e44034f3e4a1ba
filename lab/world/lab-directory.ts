import { fstatSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { lockFile, type FileLock } from '../../dataplane/kernel/process.ts';
import type { LabEntry } from './lab.ts';
import { labPaths, LABS_ROOT, type LabPaths } from './paths.ts';

const TRIES = 10;
const PAUSE_MS = 20;

/** A lab's directory that is ours. */
export interface Claim {
  readonly lock: FileLock;
  /** A dead lab of that name had left something, which is gone now. */
  readonly isReplacing: boolean;
}

/**
 * Afterwards the directory of a lab is there, for root only, empty but for `lock` and `logs`; nothing
 * when somebody holds the lock. The lock lasts as long as any process has its descriptor, so whoever
 * is to own the lab inherits it and there is no moment in which `gc` or a second start could take a
 * lab that starts for a dead one. Somebody who only looks holds it for microseconds, so a few tries
 * are made.
 */
export async function claimLab(paths: LabPaths): Promise<Claim | undefined> {
  for (let tries = 0; tries < TRIES; tries++) {
    mkdirSync(paths.directory, { recursive: true, mode: 0o700 });
    const lock = tryLock(paths);
    if (lock) return { lock, isReplacing: clear(paths) };
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return undefined;
}

/** Whether somebody holds the lock of this lab: the only proof that it lives. */
export function isAlive(paths: LabPaths): boolean {
  if (!exists(paths.lock)) return false;
  const lock = tryLock(paths);
  lock?.[Symbol.dispose]();
  return lock === undefined;
}

/** Whether a lab has left its directory behind: it was killed. */
export function isDead(paths: LabPaths): boolean {
  return exists(paths.directory) && !isAlive(paths);
}

/** All labs that have a directory on this machine, by name. */
export function listLabs(): LabEntry[] {
  return namesOf(LABS_ROOT).flatMap((name) => {
    try {
      const paths = labPaths(name);
      const state = isAlive(paths) ? ('alive' as const) : ('dead' as const);
      return [{ name, state, directory: paths.directory }];
    } catch {
      return [];
    }
  });
}

/**
 * Removes what dead labs left: their directories, nothing else exists. Gives the names of those
 * removed, or of those that would be with `dryRun`.
 */
export function gc(options: { readonly dryRun?: boolean } = {}): string[] {
  const dead = listLabs().filter(({ state }) => state === 'dead');
  if (options.dryRun === true) return dead.map(({ name }) => name);
  return dead.filter(({ name }) => removeDead(labPaths(name))).map(({ name }) => name);
}

/** Removes what one dead lab left; false when there is nothing, or when it lives. */
export function removeDeadLab(name: string): boolean {
  return removeDead(labPaths(name));
}

/** Removes the directory of a lab whose lock nobody holds; false when somebody does. */
export function removeDead(paths: LabPaths): boolean {
  if (!exists(paths.directory)) return false;
  const lock = tryLock(paths);
  if (!lock) return false;
  try {
    rmSync(paths.directory, { recursive: true, force: true });
    removeIfEmpty(LABS_ROOT);
    return true;
  } finally {
    lock[Symbol.dispose]();
  }
}

/** Removes everything but the lock; true when there was something. */
function clear(paths: LabPaths): boolean {
  const old = readdirSync(paths.directory).filter((name) => name !== basename(paths.lock));
  for (const name of old) rmSync(join(paths.directory, name), { recursive: true, force: true });
  mkdirSync(paths.logs, { mode: 0o700 });
  return old.length > 0;
}

/** Takes the lock, and looks whether the file was replaced or removed between open and lock. */
function tryLock(paths: LabPaths): FileLock | undefined {
  const lock = lockIfThere(paths.lock);
  if (!lock) return undefined;
  const held = fstatSync(lock.fd);
  const named = exists(paths.lock) ? statSync(paths.lock) : undefined;
  if (named?.ino === held.ino && named.dev === held.dev) return lock;
  lock[Symbol.dispose]();
  return undefined;
}

/** Another may be removing the directory that we have just seen. */
function lockIfThere(path: string): FileLock | undefined {
  try {
    return lockFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function namesOf(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => statSync(join(directory, name)).isDirectory());
  } catch {
    return [];
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Other labs are in it.
  }
}
