import { readdir, rm, writeFile, mkdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Era } from '../../dataplane/redirect/era.ts';
import type { Topology } from '../../topologies/topology.ts';
import { type Baseline, parseBaseline, renderBaseline } from './baseline.ts';

/** One topology in one era: built once, all its scenarios observed. */
export interface Cell {
  readonly topology: Topology;
  readonly era: Era;
  /** `two-nodes`: of the topology's file, names its baselines. */
  readonly name: string;
  readonly baselineFile: string;
}

export interface CellChoice {
  readonly topologies: readonly Topology[];
  readonly eras: readonly Era[];
  /** Directory of the baselines. */
  readonly baselines: string;
}

/** Each topology in each era, topologies without a scenario left out. */
export function cellsOf({ topologies, eras, baselines }: CellChoice): readonly Cell[] {
  return topologies
    .filter(({ scenarios }) => scenarios.length > 0)
    .flatMap((topology) =>
      eras.map((era) => {
        const name = basename(topology.file).replace(/\.ya?ml$/, '');
        return { topology, era, name, baselineFile: join(baselines, `${name}.${era}.txt`) };
      }),
    );
}

/**
 * The baseline in a file; undefined when there is none.
 * @throws BaselineError
 */
export async function readBaseline(file: string): Promise<Baseline | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return parseBaseline(text, file);
}

/** Writes a baseline; says whether the file is another than before. */
export async function writeBaseline(file: string, baseline: Baseline): Promise<boolean> {
  const text = renderBaseline(baseline);
  const before = await readFile(file, 'utf8').catch(() => undefined);
  if (before === text) return false;
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, text);
  return true;
}

/** Baselines in a directory that belong to none of the cells. */
export async function findStray(
  directory: string,
  cells: readonly Cell[],
): Promise<readonly string[]> {
  const known = new Set(cells.map(({ baselineFile }) => basename(baselineFile)));
  const found = await readdir(directory).catch(() => []);
  return found
    .filter((name) => /\.(geneve|inpod-[a-z]+)\.txt$/.test(name) && !known.has(name))
    .sort()
    .map((name) => join(directory, name));
}

/** Removes baselines that nothing belongs to any more. */
export async function removeStray(files: readonly string[]): Promise<void> {
  for (const file of files) await rm(file);
}
