import { bootstrapMedian, median, seededRandom, type Interval } from '../statistics.ts';
import { FIGURES, type Figure, type RatioBar, type Yardstick } from './bars.ts';
import type { Measured } from './measure.ts';
import type { BenchResult } from './run.ts';
import type { VariantName } from './variants.ts';

/** Ours over a yardstick, round by round. */
export interface RatioResult extends Interval {
  readonly bar: string;
  /** True where there is no bar. */
  readonly holds: boolean;
}

/** One figure: medians of the variants that ran, ratios, and whether every bar of it holds. */
export interface FigureResult {
  readonly name: string;
  readonly unit: string;
  readonly medians: Readonly<Partial<Record<VariantName, number>>>;
  readonly ratios: Readonly<Partial<Record<Yardstick, RatioResult>>>;
  /** Of an absolute bar. */
  readonly bar?: string;
  readonly failures: number;
  readonly holds: boolean;
}

const YARDSTICKS: readonly Yardstick[] = ['haproxy', 'haproxyRules', 'envoy'];
const MOST_RESIDENT_BYTES = 90 * 1e6;
const MOST_IDLE_BYTES = 20 * 1e3;
const SEED = 20_241_121;

/** Each figure with its medians, intervals and whether it holds. A failed request fails its bars. */
export function judge(result: BenchResult): FigureResult[] {
  const { peakBytes, idleBytes } = result.memory;
  return [
    ...FIGURES.map((figure) => judgeFigure(figure, result)),
    judgeMost('peak resident memory of a ztunnel', 'MB', peakBytes, MOST_RESIDENT_BYTES, 1e6),
    judgeMost('an idle connection of 1,000 costs a ztunnel', 'kB', idleBytes, MOST_IDLE_BYTES, 1e3),
  ];
}

function judgeMost(
  name: string,
  unit: string,
  bytes: readonly number[],
  most: number,
  scale: number,
): FigureResult {
  const worst = Math.max(...bytes);
  const bar = `≤ ${most / scale}`;
  const medians = { ours: worst / scale };
  const holds = bytes.length > 0 && worst <= most;
  return { name, unit, medians, ratios: {}, bar, failures: 0, holds };
}

function judgeFigure(figure: Figure, result: BenchResult): FigureResult {
  const samples = result.samples[figure.load];
  const valuesOf = (list: readonly Measured[]): number[] =>
    list.map((m) => figure.value(m) ?? Number.NaN);
  const ours = valuesOf(samples.ours ?? []);
  const medians: Partial<Record<VariantName, number>> = {};
  for (const [name, list] of Object.entries(samples)) {
    const middle = median(valuesOf(list));
    if (Number.isFinite(middle)) medians[name as VariantName] = middle;
  }
  const ratios: Partial<Record<Yardstick, RatioResult>> = {};
  for (const name of YARDSTICKS) {
    const list = samples[name];
    if (list !== undefined) ratios[name] = ratioOf(ours, valuesOf(list), figure.bars[name]);
  }
  const failures = (samples.ours ?? []).reduce((sum, m) => sum + m.failures, 0);
  const holds = failures === 0 && Object.values(ratios).every((ratio) => ratio.holds);
  return { name: figure.name, unit: figure.unit, medians, ratios, failures, holds };
}

function ratioOf(
  ours: readonly number[],
  theirs: readonly number[],
  bar: RatioBar = {},
): RatioResult {
  const rounds = ours.map((value, round) => value / theirs[round]!);
  const ratio = bootstrapMedian(rounds, seededRandom(SEED));
  const { atMost = Infinity, atLeast = -Infinity } = bar;
  const holds = ratio.median <= atMost && ratio.median >= atLeast;
  return { ...ratio, bar: describeBar(bar), holds };
}

function describeBar({ atMost, atLeast }: RatioBar): string {
  if (atMost !== undefined) return `≤ ${atMost.toFixed(2)}`;
  return atLeast === undefined ? '' : `≥ ${atLeast.toFixed(2)}`;
}
