import type { Histogram } from 'hdr-histogram-js';
import {
  mergeHistograms,
  percentileUs,
  quantiles,
  type Quantile,
  unpackHistogram,
} from '../histogram.ts';
import type { LatencyResult } from '../load/load-order.ts';
import { bootstrapMedian, type Interval, median, seededRandom } from '../statistics.ts';
import type { BenchRun, MeasuredCell, Sample } from './bench-run.ts';
import type { Cell } from './cell.ts';
import type { ModeName } from './modes.ts';

/** What a run says, with how sure it is: medians over the rounds and their bootstrap 95 % intervals. */
export interface CellSummary {
  readonly cell: Cell;
  readonly modes: readonly ModeSummary[];
}

export interface ModeSummary {
  readonly mode: ModeName;
  /** Requests, connections or bytes per second. */
  readonly perSecond: Interval;
  readonly failures: number;
  /** Of all proxies, per 1,000 requests or connections, or per gigabit; 0 without proxies. */
  readonly proxyCpuMs: Interval;
  readonly proxyCpuMsOfSides: { readonly client: number; readonly server: number };
  /** Of all proxies together, in each round the most. */
  readonly proxyPeakBytes: Interval;
  readonly latency?: LatencySummary;
  /** What the load generator used for each CPU second of what it measured. */
  readonly clientShare: number;
  /** Against no mesh, round by round; absent without it. */
  readonly added?: Added;
}

export interface LatencySummary {
  readonly p50Us: Interval;
  readonly p90Us: Interval;
  readonly p99Us: Interval;
  /** Of all rounds in one histogram. */
  readonly p999Us: number;
  readonly maxUs: number;
  readonly requests: number;
  /** From the moment they were sent: what a closed loop would tell. */
  readonly sentP50Us: number;
  readonly sentP99Us: number;
  /** How late the generator was. */
  readonly latenessP50Us: number;
  readonly latenessP99Us: number;
  readonly curve: readonly Quantile[];
}

export interface Added {
  readonly p50Us?: Interval;
  readonly p99Us?: Interval;
  readonly perSecond: Interval;
}

const GIGABIT_BYTES = 1e9 / 8;

/** What each cell came to, mode by mode in the order of the run. */
export function summarise(run: BenchRun): readonly CellSummary[] {
  return run.cells.map((measured) => ({
    cell: measured.cell,
    modes: run.modes.flatMap((mode) => {
      const samples = measured.samples[mode] ?? [];
      return samples.length === 0 ? [] : [summariseMode(run, measured, mode, samples)];
    }),
  }));
}

function summariseMode(
  { seed }: BenchRun,
  { cell, samples: all }: MeasuredCell,
  mode: ModeName,
  samples: readonly Sample[],
): ModeSummary {
  const interval = (values: readonly number[]): Interval =>
    bootstrapMedian(values, seededRandom(seed));
  const bare = mode === 'none' ? undefined : all.none;
  return {
    mode,
    perSecond: interval(samples.map(rateOf)),
    failures: sumOf(samples, ({ failures }) => failures),
    proxyCpuMs: interval(samples.map((sample) => cpuPerWork(cell, sample))),
    proxyCpuMsOfSides: {
      client: median(samples.map((sample) => cpuPerWork(cell, sample, 'client'))),
      server: median(samples.map((sample) => cpuPerWork(cell, sample, 'server'))),
    },
    proxyPeakBytes: interval(samples.map(({ proxies }) => sumOf(proxies, (one) => one.peakBytes))),
    ...(samples[0]?.latency && { latency: summariseLatency(samples, interval) }),
    clientShare: median(samples.map(shareOfClient)),
    ...(bare && { added: addedTo(bare, samples, interval) }),
  };
}

function summariseLatency(
  samples: readonly Sample[],
  interval: (values: readonly number[]) => Interval,
): LatencySummary {
  const at = (percentile: number): Interval => interval(percentilesOf(samples, percentile));
  const intended = histogramOf(samples, 'intended');
  const sent = histogramOf(samples, 'sent');
  const lateness = histogramOf(samples, 'lateness');
  return {
    p50Us: at(50),
    p90Us: at(90),
    p99Us: at(99),
    p999Us: percentileUs(intended, 99.9),
    maxUs: percentileUs(intended, 100),
    requests: intended.totalCount,
    sentP50Us: percentileUs(sent, 50),
    sentP99Us: percentileUs(sent, 99),
    latenessP50Us: percentileUs(lateness, 50),
    latenessP99Us: percentileUs(lateness, 99),
    curve: quantiles(intended),
  };
}

/** All rounds of a mode in one. */
export function histogramOf(
  samples: readonly Sample[],
  which: Exclude<keyof LatencyResult, 'trace'>,
): Histogram {
  return mergeHistograms(samples.flatMap(({ latency }) => latency?.[which] ?? []));
}

/** One value a round, from the moment requests were due. */
export function percentilesOf(samples: readonly Sample[], percentile: number): readonly number[] {
  return samples.flatMap(({ latency }) =>
    latency ? [percentileUs(unpackHistogram(latency.intended), percentile)] : [],
  );
}

function addedTo(
  bare: readonly Sample[],
  samples: readonly Sample[],
  interval: (values: readonly number[]) => Interval,
): Added {
  const between = (ours: readonly number[], theirs: readonly number[]): Interval =>
    interval(ours.map((value, index) => value - (theirs[index] ?? Number.NaN)));
  const at = (percentile: number): Interval =>
    between(percentilesOf(samples, percentile), percentilesOf(bare, percentile));
  const isLatency = samples[0]?.latency !== undefined;
  return {
    ...(isLatency && { p50Us: at(50), p99Us: at(99) }),
    perSecond: between(samples.map(rateOf), bare.map(rateOf)),
  };
}

function rateOf({ done, seconds }: Sample): number {
  return done / seconds;
}

/** CPU of the proxies in milliseconds for 1,000 requests or connections, or for a gigabit. */
export function cpuPerWork(
  { kind }: Cell,
  { proxies, done }: Sample,
  side?: 'client' | 'server',
): number {
  const counted = proxies.filter((one) => side === undefined || one.side === side);
  const work = kind === 'throughput' ? done / GIGABIT_BYTES : done / 1_000;
  return work === 0 ? 0 : (sumOf(counted, ({ cpuSeconds }) => cpuSeconds) * 1_000) / work;
}

function shareOfClient({ clientCpuSeconds, appCpuSeconds, proxies }: Sample): number {
  const measured = appCpuSeconds + sumOf(proxies, ({ cpuSeconds }) => cpuSeconds);
  return clientCpuSeconds / measured;
}

function sumOf<T>(list: readonly T[], value: (each: T) => number): number {
  return list.reduce((sum, each) => sum + value(each), 0);
}
