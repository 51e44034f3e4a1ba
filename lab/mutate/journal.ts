import { appendFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { MutationResult } from './run-mutations.ts';

/** Results of a run that may be interrupted: a line that says what it is of, then one a result. */
export interface Journal {
  readonly done: readonly MutationResult[];
  add(result: MutationResult): Promise<void>;
  /** The run is whole: its results are in `file`, and the journal is gone. */
  finish(results: readonly MutationResult[], file: string): Promise<void>;
}

/**
 * Opens the journal at `path`. What is in it counts when it is of the same run (`key`): a line that
 * was cut off by the interruption does not, and is done again.
 */
export async function openJournal(path: string, key: string, isFresh: boolean): Promise<Journal> {
  await mkdir(dirname(path), { recursive: true });
  const done = isFresh ? [] : await readDone(path, key);
  const lines = [JSON.stringify({ key }), ...done.map((result) => JSON.stringify(result))];
  await writeFile(`${path}.new`, `${lines.join('\n')}\n`);
  await rename(`${path}.new`, path);
  return {
    done,
    add: (result) => appendFile(path, `${JSON.stringify(result)}\n`),
    async finish(results, file) {
      await writeFile(`${file}.new`, `${JSON.stringify(results, null, 2)}\n`);
      await rename(`${file}.new`, file);
      await rm(path, { force: true });
    },
  };
}

async function readDone(path: string, key: string): Promise<readonly MutationResult[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const [head, ...lines] = text.split('\n').slice(0, -1).map(parse);
  if ((head as { readonly key?: unknown } | undefined)?.key !== key) return [];
  return lines.filter((line): line is MutationResult => line !== undefined && 'breaks' in line);
}

function parse(line: string): object | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
