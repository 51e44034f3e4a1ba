import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SshError } from '../ssh/errors.ts';
import type { TarSource } from './tar.ts';

/** This project as it is sent: what git tracks, as it stands in the working tree, and nothing else. */
export interface SentProject {
  readonly root: string;
  /** Tells two clones from each other over there. */
  readonly id: string;
  /** Of every path, mode and byte. */
  readonly digest: string;
  readonly files: readonly TarSource[];
}

const run = promisify(execFile);
const ID_LENGTH = 12;

/**
 * Collects what is sent.
 *
 * @throws SshError LAB_CANNOT_RUN where git is missing, or this is no clone
 */
export async function collectProject(root: string): Promise<SentProject> {
  const paths = await trackedPaths(root);
  const files = paths.flatMap((path) => sourceOf(root, path));
  const whole = createHash('sha256');
  for (const { entry, file } of files) {
    const content = entry.kind === 'file' ? sha256(readFileSync(file)) : '';
    const { sizeBytes: _, ...about } = { sizeBytes: 0, ...entry };
    whole.update(`${JSON.stringify(about)} ${content}\n`);
  }
  return {
    root,
    id: sha256(`${hostname()} ${root}`).slice(0, ID_LENGTH),
    digest: whole.digest('hex'),
    files,
  };
}

async function trackedPaths(root: string): Promise<readonly string[]> {
  try {
    const { stdout } = await run('git', ['-C', root, 'ls-files', '-z'], {
      maxBuffer: 64 * 1024 * 1024,
    });
    return [...new Set(stdout.split('\0').filter(Boolean))].sort();
  } catch (cause) {
    const { code, stderr } = cause as { readonly code?: unknown; readonly stderr?: string };
    const why = code === 'ENOENT' ? 'there is no git on this machine' : (stderr ?? '').trim();
    throw new SshError(
      'LAB_CANNOT_RUN',
      `Cannot send the project in "${root}": ${why}, a clone and git were wished`,
      { hint: 'What is sent is what git tracks, nothing else.', cause },
    );
  }
}

/** None for what is tracked and has been deleted. */
function sourceOf(root: string, path: string): readonly TarSource[] {
  const file = join(root, path);
  const stat = lstatSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return [];
  if (stat.isSymbolicLink())
    return [{ file, entry: { kind: 'link', path, target: readlinkSync(file) } }];
  if (!stat.isFile()) return [];
  const isExecutable = (stat.mode & 0o100) !== 0;
  return [{ file, entry: { kind: 'file', path, isExecutable, sizeBytes: stat.size } }];
}

function sha256(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex');
}
