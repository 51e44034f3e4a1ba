import {
  access,
  appendFile,
  constants,
  mkdir,
  readdir,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isHiddenInLab } from '../world/paths.ts';

/** In the directory of a run from its beginning until everything in it is complete. */
export const INCOMPLETE = 'INCOMPLETE';

const WARNING = 'This run has not ended, or was ended before its time: it is not all here.\n';

/** Faults of the disk, not of the one who asked. */
const DISK_FAULTS = ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO'];

/**
 * Results that cannot be written: LAB_BAD_RESULTS for a place where none can be,
 * LAB_RESULTS_UNWRITABLE for a disk that is full or fails.
 */
export class ResultsError extends Error {
  override readonly name = 'ResultsError';
  readonly code: 'LAB_BAD_RESULTS' | 'LAB_RESULTS_UNWRITABLE';

  constructor(code: ResultsError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/**
 * Makes sure that results can be written below `root`, before anything is built for them.
 *
 * @throws ResultsError LAB_BAD_RESULTS
 */
export async function requireResults(root: string): Promise<void> {
  // First: a recursive mkdir below /proc never comes back (Node 20 and 22).
  if (isHiddenInLab(await nearestExisting(resolve(root)))) {
    throw badResults(root, 'a lab has a directory of its own there, another place is wanted');
  }
  try {
    await mkdir(root, { recursive: true });
    await access(root, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw badResults(root, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

async function nearestExisting(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return path === dirname(path) ? path : nearestExisting(dirname(path));
  }
}

/**
 * Does `work` in a new directory `<root>/<time>-<name>`, which holds a file `INCOMPLETE` until the
 * work is done; only then does `<root>/latest` point at it. What failing work leaves stays, marked,
 * unless that is nothing. Two runs within one second get a counter.
 *
 * @throws ResultsError, and what `work` throws
 */
export async function inRunDirectory<T>(
  root: string,
  name: string,
  now: Date,
  work: (directory: string) => Promise<T>,
): Promise<T> {
  await requireResults(root);
  const stamp = now
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replaceAll(/[-:]/g, '')
    .replace('T', '-');
  const directory = await createFirstFree(resolve(root), `${stamp}-${name}`);
  try {
    await announceResult(directory);
    await writeFile(join(directory, INCOMPLETE), WARNING);
    const result = await work(directory);
    await rm(join(directory, INCOMPLETE));
    await pointLatestAt(directory);
    return result;
  } catch (error) {
    await removeIfNothing(directory);
    throw isDiskFault(error) ? unwritable(directory, error) : error;
  }
}

async function createFirstFree(root: string, wanted: string): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const directory = join(root, attempt === 1 ? wanted : `${wanted}-${attempt}`);
    try {
      await mkdir(directory);
      return directory;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unwritable(directory, error);
    }
  }
}

/**
 * Notes a directory or file of results in the file that `AMBIENT_LAB_RESULT_LIST` names, if any does:
 * so whoever started this verb, over SSH for example, learns what it has left.
 */
export async function announceResult(path: string): Promise<void> {
  const list = process.env['AMBIENT_LAB_RESULT_LIST'];
  if (list !== undefined) await appendFile(list, `${resolve(path)}\n`);
}

/** Replaced by rename, so that a reader never finds it missing. */
export async function pointLatestAt(directory: string): Promise<void> {
  const root = dirname(directory);
  const fresh = join(root, `.latest-${process.pid}`);
  await rm(fresh, { force: true });
  await symlink(basename(directory), fresh);
  await rename(fresh, join(root, 'latest'));
}

/** Clean-up after a fault: whatever goes wrong here must not hide it. */
async function removeIfNothing(directory: string): Promise<void> {
  try {
    const files = await readdir(directory);
    if (files.every((name) => name === INCOMPLETE)) await rm(directory, { recursive: true });
  } catch {
    // It stays, marked or empty.
  }
}

function isDiskFault(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  // A fault of the recorder has come through two processes: only its text tells.
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  return DISK_FAULTS.some((fault) => fault === code || String(message).startsWith(`${fault}:`));
}

function badResults(root: string, why: string, cause?: unknown): ResultsError {
  return new ResultsError('LAB_BAD_RESULTS', `Cannot write results to "${root}": ${why}`, cause);
}

function unwritable(directory: string, cause: unknown): ResultsError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ResultsError(
    'LAB_RESULTS_UNWRITABLE',
    `Cannot write results to "${directory}": ${why}; what is there is incomplete`,
    cause,
  );
}
