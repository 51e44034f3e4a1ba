import { mkdir, rename, symlink } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

/**
 * Makes the directory of one run, `<root>/<time>-<name>`, and points `<root>/latest` at it.
 * Two runs within one second get a counter.
 */
export async function createRunDirectory(root: string, name: string, now: Date): Promise<string> {
  const stamp = now
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replaceAll(/[-:]/g, '')
    .replace('T', '-');
  await mkdir(root, { recursive: true });
  const directory = await createFirstFree(resolve(root), `${stamp}-${name}`);
  await pointLatestAt(resolve(root), basename(directory));
  return directory;
}

async function createFirstFree(root: string, wanted: string): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const directory = join(root, attempt === 1 ? wanted : `${wanted}-${attempt}`);
    try {
      await mkdir(directory);
      return directory;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** Replaced by rename, so that a reader never finds it missing. */
async function pointLatestAt(root: string, target: string): Promise<void> {
  const fresh = join(root, `.latest-${process.pid}`);
  await symlink(target, fresh);
  await rename(fresh, join(root, 'latest'));
}
