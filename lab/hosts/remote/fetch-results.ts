import { createWriteStream } from 'node:fs';
import { access, lstat, mkdir, rename, rm, symlink, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { SshError } from '../ssh/errors.ts';
import { orLost, type Host } from './host.ts';
import { FILES, RECEIVED, RUNS } from './orders.ts';
import { readTar, type ReadEntry } from './tar.ts';

export interface FetchPlan {
  readonly session: string;
  /** Where runs go here. */
  readonly results: string;
  /** Where single files go here, by the number that they have over there. */
  readonly files: readonly string[];
}

/**
 * Brings back what a session has left: whole runs into the folder of results, under another name
 * where one of that name is there already, and the single files that a person named. Over there it is
 * removed when all of it is here. Gives the paths of both.
 *
 * @throws SshError LAB_SSH_LOST when it did not come whole; it stays over there for a day
 */
export async function fetchResults(host: Host, plan: FetchPlan): Promise<readonly string[]> {
  const { session } = plan;
  const remote = await host.start({ kind: 'results', folder: host.folder, session });
  remote.stderr.pipe(process.stderr, { end: false });
  remote.stdin.on('error', () => {});
  await mkdir(plan.results, { recursive: true });
  const fresh = join(plan.results, `.${session}`);
  try {
    // Its end is in the archive: Node does not close the standard output of a living process.
    const archive = readTar(remote.stdout.pipe(createGunzip()));
    const entries = await orLost(host, extract(archive, fresh));
    remote.stdout.resume();
    const placed = await Promise.all(entries.map((entry) => place(entry, fresh, plan)));
    remote.stdin.end(RECEIVED);
    await remote.ended;
    return placed;
  } catch (cause) {
    if (host.connection.lost.aborted) throw host.connection.lost.reason as Error;
    throw new SshError(
      'LAB_SSH_LOST',
      `Cannot bring results back: ${(cause as Error).message}, a whole archive was wished`,
      { hint: `They stay for a day over there, in ${host.folder}`, cause },
    );
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** Gives the things at the top: `runs/<name>` and `files/<number>`. */
async function extract(
  entries: AsyncIterable<ReadEntry>,
  folder: string,
): Promise<readonly string[]> {
  const tops = new Set<string>();
  for await (const entry of entries) {
    tops.add(entry.path.split('/').slice(0, 2).join('/'));
    const path = join(folder, entry.path);
    await mkdir(dirname(path), { recursive: true });
    if (entry.kind === 'directory') await mkdir(path, { recursive: true });
    // Nothing that comes later may be written through it.
    else if (entry.kind === 'link') await linkInside(folder, path, entry.target);
    else await pipeline(entry.body, createWriteStream(path, { flags: 'wx' }));
  }
  return [...tops];
}

/** A link that leads out of the archive is left out. */
async function linkInside(folder: string, path: string, target: string): Promise<void> {
  const leadsTo = resolve(dirname(path), target);
  if (leadsTo.startsWith(`${resolve(folder)}/`)) await symlink(target, path);
}

async function place(entry: string, fresh: string, plan: FetchPlan): Promise<string> {
  const [kind, name = ''] = entry.split('/');
  if (kind === FILES) {
    const file = plan.files[Number(name)];
    if (file === undefined) throw new Error(`nobody asked for a file ${name}`);
    await mkdir(dirname(file), { recursive: true });
    await rename(join(fresh, entry), file);
    return file;
  }
  if (kind !== RUNS || name === '') throw new Error(`there is a "${entry}" in it`);
  const path = await firstFree(plan.results, basename(name));
  await rename(join(fresh, entry), path);
  return path;
}

/** `mutate-geneve.json` is the same one again, a run's directory is another one. */
async function firstFree(root: string, name: string): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const path = join(root, attempt === 1 ? name : `${name}-${attempt}`);
    try {
      if ((await lstat(path)).isFile()) await unlink(path);
      else await access(path);
    } catch {
      return path;
    }
  }
}
