import { fstatSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { lockFile, type FileLock } from '../../dataplane/kernel/process.ts';
import type { LabEntry } from './lab.ts';
import { labPaths, LABS_ROOT, type LabPaths } from './paths.ts';

const TRIES = 10;
const PAUSE_MS = 20;

/** Afterwards the directory of a lab is there, for root only. Its contents are left as they are. */
export function makeLabDirectory(paths: LabPaths): void {
  mkdirSync(LABS_ROOT, { recursive: true, mode: 0o700 });
  mkdirSync(paths.directory, { recursive: true, mode: 0o700 });
  mkdirSync(paths.logs, { recursive: true, mode: 0o700 });
}

/**
 * The lock of a lab, for as long as this process lives, or nothing when another has it. Somebody who
 * only looks holds it for microseconds, so a few tries are made.
 */
export async function lockLab(paths: LabPaths): Promise<FileLock | undefined> {
  for (let tries = 0; tries < TRIES; tries++) {
    const lock = tryLock(paths);
    if (lock) return lock;
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

/** Takes the lock, and looks whether the file was replaced or removed between open and lock. */
function tryLock(paths: LabPaths): FileLock | undefined {
  const lock = lockFile(paths.lock);
  if (!lock) return undefined;
  const held = fstatSync(lock.fd);
  const named = exists(paths.lock) ? statSync(paths.lock) : undefined;
  if (named?.ino === held.ino && named.dev === held.dev) return lock;
  lock[Symbol.dispose]();
  return undefined;
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
