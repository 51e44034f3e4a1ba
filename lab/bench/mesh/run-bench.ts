import { loadavg } from 'node:os';
import { describeMachine } from '../../hosts/machine.ts';
import { seededRandom } from '../statistics.ts';
import { type BenchLab, startBenchLab } from './bench-lab.ts';
import {
  BENCH_SCHEMA,
  type BenchRun,
  type Lacking,
  type MeasuredCell,
  type Sample,
} from './bench-run.ts';
import { measureBudget, type ModeBudget } from '../budget/budget.ts';
import { type Cell, cellTitle } from './cell.ts';
import { measureCell } from './measure-cell.ts';
import { type ModeName, titleOf } from './modes.ts';
import { type Preset, WARM_UP_MS } from './presets.ts';

export interface RunBenchOptions {
  readonly preset: Preset;
  readonly modes: readonly ModeName[];
  readonly lacking: readonly Lacking[];
  readonly programs: BenchRun['programs'];
  readonly rounds: number;
  readonly windowMs: number;
  readonly seed: number;
  /** Labs are called this and their mode. */
  readonly labPrefix: string;
  readonly ztunnel?: readonly string[];
  /** Directory for the captures of the latency budget; no budget when absent. */
  readonly budgetDirectory?: string;
  readonly onProgress: (text: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Builds the labs of all modes, all alive together, and gives every mode every load in each round,
 * the modes in a new random order each time, so that whatever else the machine does falls on all
 * alike. What the code of the programs warms up with, and the begin of each load, count for nothing.
 */
export async function runBench(options: RunBenchOptions): Promise<BenchRun> {
  const { preset, modes, rounds, windowMs, seed, onProgress } = options;
  const startedAt = new Date();
  const loadBefore = loadavg()[0] ?? 0;
  await using labs = await buildLabs(options);
  await warmUp(labs.of, preset, options);
  const cells = await measureRounds(labs.of, options);
  const budgets: ModeBudget[] = [];
  for (const bench of labs.of) {
    if (options.budgetDirectory === undefined) break;
    options.signal.throwIfAborted();
    onProgress(`latency budget: ${titleOf(bench.mode)}`);
    const { budgetRequests: requests } = preset;
    budgets.push(await measureBudget(bench, { directory: options.budgetDirectory, requests }));
  }
  return {
    schema: BENCH_SCHEMA,
    preset: preset.name,
    title: preset.title,
    seed,
    rounds,
    windowMs,
    warmUpMs: WARM_UP_MS,
    startedAt: startedAt.toISOString(),
    seconds: (Date.now() - startedAt.getTime()) / 1_000,
    machine: await describeMachine(),
    loadBefore,
    modes,
    lacking: options.lacking,
    programs: options.programs,
    cells,
    budgets,
  };
}

interface BenchLabs extends AsyncDisposable {
  readonly of: readonly BenchLab[];
}

/** One after another: two that start at once take longer than in turn on few processors. */
async function buildLabs(options: RunBenchOptions): Promise<BenchLabs> {
  const { modes, labPrefix, ztunnel, signal, onProgress } = options;
  const labs: BenchLab[] = [];
  const end = async (): Promise<void> => {
    await Promise.all(labs.map((bench) => bench[Symbol.asyncDispose]()));
  };
  try {
    for (const mode of modes) {
      signal.throwIfAborted();
      onProgress(`building: ${titleOf(mode)}`);
      const name = `${labPrefix}-${mode}`;
      labs.push(await startBenchLab(mode, { name, ztunnel, signal }));
    }
  } catch (error) {
    await end();
    throw error;
  }
  return { of: labs, [Symbol.asyncDispose]: end };
}

/** A JIT needs thousands of requests and connections. */
const WARM_UP: readonly (Pick<Cell, 'kind' | 'connections'> & { readonly windowMs: number })[] = [
  { kind: 'closed-loop', connections: 64, windowMs: 500 },
  { kind: 'new-connections', connections: 16, windowMs: 300 },
  { kind: 'throughput', connections: 1, windowMs: 100 },
];

async function warmUp(
  labs: readonly BenchLab[],
  { cells }: Preset,
  { windowMs: longestMs, onProgress, signal }: RunBenchOptions,
): Promise<void> {
  const placements = [...new Set(cells.map(({ placement }) => placement))];
  for (const bench of labs) {
    onProgress(`warming up: ${titleOf(bench.mode)}`);
    for (const { windowMs, ...load } of WARM_UP) {
      signal.throwIfAborted();
      const [placement = 'other-node'] = placements;
      await measureCell(
        bench,
        { ...load, placement },
        {
          warmUpMs: 0,
          windowMs: Math.min(windowMs, longestMs),
        },
      );
    }
  }
}

async function measureRounds(
  labs: readonly BenchLab[],
  { preset, rounds, windowMs, seed, onProgress, signal }: RunBenchOptions,
): Promise<readonly MeasuredCell[]> {
  const random = seededRandom(seed);
  const found = preset.cells.map(() => new Map<ModeName, Sample[]>());
  for (let round = 1; round <= rounds; round++) {
    for (const [index, cell] of preset.cells.entries()) {
      onProgress(`round ${round} of ${rounds}: ${cellTitle(cell)}`);
      for (const bench of shuffled(labs, random)) {
        signal.throwIfAborted();
        const measured = await measureCell(bench, cell, { warmUpMs: WARM_UP_MS, windowMs });
        const samples = found[index]!;
        samples.set(bench.mode, [...(samples.get(bench.mode) ?? []), { round, ...measured }]);
      }
    }
  }
  return preset.cells.map((cell, index) => ({
    cell,
    samples: Object.fromEntries(found[index]!),
  }));
}

/** Every order alike likely (Fisher and Yates). */
export function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const mixed = [...values];
  for (let last = mixed.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [mixed[last], mixed[other]] = [mixed[other]!, mixed[last]!];
  }
  return mixed;
}
