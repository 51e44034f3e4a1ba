import { bootstrapMedian, type Interval, seededRandom } from '../statistics.ts';
import type { BenchRun, MeasuredCell, Sample } from './bench-run.ts';
import { type Cell, isLatency } from './cell.ts';
import { isEra, type ModeName } from './modes.ts';
import { cpuPerWork, percentilesOf } from './summarise.ts';

export type Metric = 'p50' | 'p99' | 'cpu' | 'memory';
export const METRICS: readonly Metric[] = ['p50', 'p99', 'cpu', 'memory'];

/** Two modes by one measure in one cell: how many times `than` the mode has, round by round. */
export interface Comparison {
  readonly metric: Metric;
  readonly cell: Cell;
  readonly mode: ModeName;
  readonly than: ModeName;
  readonly ratio: Interval;
  /** `unclear` when the interval holds 1. */
  readonly verdict: 'less' | 'more' | 'unclear';
}

/**
 * The order of no mesh, ambient and sidecar, where the modes were run: each against the one before
 * it, by latency, CPU and memory, in one cell: that nearest to Istio's own load unless given.
 */
export function compareModes(
  run: BenchRun,
  measured: MeasuredCell | undefined = nearestToIstio(run.cells),
): readonly Comparison[] {
  if (measured === undefined) return [];
  const ambient = run.modes.filter((mode) => isEra(mode) || mode === 'ztunnel');
  const sidecar = run.modes.filter((mode) => mode === 'sidecar');
  const pairs: (readonly [ModeName, ModeName])[] = [
    ...(run.modes.includes('none') ? [...ambient, ...sidecar] : []).map(
      (mode) => [mode, 'none'] as const,
    ),
    ...ambient.flatMap((era) => sidecar.map((mode) => [era, mode] as const)),
  ];
  return METRICS.flatMap((metric) =>
    pairs.flatMap(([mode, than]) => compare(run, measured, metric, mode, than) ?? []),
  );
}

/** The cell between two nodes that is nearest to 1,000 requests/s over 16 connections. */
export function nearestToIstio<T extends { readonly cell: Cell }>(
  cells: readonly T[],
): T | undefined {
  const latencies = cells.filter(({ cell }) => isLatency(cell) && cell.placement === 'other-node');
  const far = ({ cell }: T): number =>
    Math.abs((cell.rate ?? 0) - 1_000) + Math.abs(cell.connections - 16);
  return [...latencies].sort((a, b) => far(a) - far(b))[0];
}

function compare(
  { seed }: BenchRun,
  { cell, samples }: MeasuredCell,
  metric: Metric,
  mode: ModeName,
  than: ModeName,
): Comparison | undefined {
  const ours = valuesOf(metric, cell, samples[mode] ?? []);
  const theirs = valuesOf(metric, cell, samples[than] ?? []);
  const ratios = ours.map((value, index) => value / (theirs[index] ?? 0));
  // No mesh has no proxy: nothing can be so many times its cost.
  if (ratios.length === 0 || !ratios.every(Number.isFinite)) return undefined;
  const ratio = bootstrapMedian(ratios, seededRandom(seed));
  const verdict = ratio.high < 1 ? 'less' : ratio.low > 1 ? 'more' : 'unclear';
  return { metric, cell, mode, than, ratio, verdict };
}

function valuesOf(metric: Metric, cell: Cell, samples: readonly Sample[]): readonly number[] {
  switch (metric) {
    case 'p50':
      return percentilesOf(samples, 50);
    case 'p99':
      return percentilesOf(samples, 99);
    case 'cpu':
      return samples.map((sample) => cpuPerWork(cell, sample));
    case 'memory':
      return samples.map(({ proxies }) => proxies.reduce((sum, one) => sum + one.peakBytes, 0));
  }
}
