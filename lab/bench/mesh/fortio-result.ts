import { countUpTo, momentsOf, percentileUs } from '../histogram.ts';
import type { BenchRun, MeasuredCell, Sample } from './bench-run.ts';
import { cellId, isLatency } from './cell.ts';
import type { ModeName } from './modes.ts';
import { histogramOf } from './summarise.ts';

/** A file that `fortio report` opens. */
export interface FortioFile {
  readonly name: string;
  readonly content: object;
}

/** The ones that fortio's page looks for by their numbers. */
const PERCENTILES = [50, 75, 90, 99, 99.9];
const STEP = 1.1;
const US_PER_SECOND = 1e6;
const NS_PER_SECOND = 1e9;

/**
 * Latencies of a run in fortio's own result format (`periodic.RunnerResults`, `fhttp.HTTPRunnerResults`
 * and `stats.HistogramData` of fortio 1.66), one file a load and mode. Times are from the moment a
 * request was due, which fortio itself does not measure.
 */
export function fortioFiles(run: BenchRun): readonly FortioFile[] {
  return run.cells.flatMap((measured) =>
    isLatency(measured.cell)
      ? Object.entries(measured.samples).map(([mode, samples]) => ({
          name: `${cellId(measured.cell)}-${mode}.json`,
          content: resultOf(run, measured, mode as ModeName, samples),
        }))
      : [],
  );
}

function resultOf(
  { startedAt, windowMs, preset, seed }: BenchRun,
  { cell }: MeasuredCell,
  mode: ModeName,
  samples: readonly Sample[],
): object {
  const seconds = samples.reduce((sum, each) => sum + each.seconds, 0);
  const failures = samples.reduce((sum, each) => sum + each.failures, 0);
  const histogram = histogramData(samples);
  return {
    RunType: 'HTTP',
    Labels: `${mode} ${cellId(cell)}`,
    StartTime: startedAt,
    RequestedQPS: String(cell.rate),
    RequestedDuration: `${samples.length} x ${windowMs / 1_000}s`,
    ActualQPS: samples.reduce((sum, each) => sum + each.done, 0) / seconds,
    ActualDuration: Math.round(seconds * NS_PER_SECOND),
    NumThreads: cell.connections,
    Version: 'ambient-lab',
    DurationHistogram: histogram,
    Exactly: 0,
    Jitter: false,
    Uniform: true,
    NoCatchUp: false,
    RunID: 0,
    AccessLoggerInfo: '',
    ID: `ambient-lab-${preset}-${seed}-${mode}-${cellId(cell)}`,
    URL: `http://${cell.placement === 'other-node' ? 'server' : 'near'}.bench:8000/`,
    RetCodes: { 200: histogram.Count, ...(failures > 0 && { '-1': failures }) },
  };
}

interface HistogramData {
  readonly Count: number;
  readonly [field: string]: unknown;
}

/** Each a tenth above the one before, the last the largest value itself. */
function edgesOf(minUs: number, maxUs: number): readonly number[] {
  const edges: number[] = [];
  for (let edge = minUs * STEP; edge < maxUs; edge *= STEP) edges.push(edge);
  return [...edges, maxUs];
}

/** In seconds. A bucket begins where the one before it that holds something ends. */
function histogramData(samples: readonly Sample[]): HistogramData {
  const histogram = histogramOf(samples, 'intended');
  const { count, minUs, maxUs, meanUs, deviationUs } = momentsOf(histogram);
  const seconds = (us: number): number => us / US_PER_SECOND;
  let [start, counted] = [minUs, 0];
  const buckets = edgesOf(minUs, maxUs).map((edge) => {
    const upTo = edge === maxUs ? count : countUpTo(histogram, edge);
    const bucket = {
      Start: seconds(start),
      End: seconds(edge),
      Percent: (100 * upTo) / count,
      Count: upTo - counted,
    };
    if (bucket.Count > 0) [start, counted] = [edge, upTo];
    return bucket;
  });
  return {
    Count: count,
    Min: seconds(minUs),
    Max: seconds(maxUs),
    Sum: seconds(meanUs * count),
    Avg: seconds(meanUs),
    StdDev: seconds(deviationUs),
    Data: buckets.filter((bucket) => bucket.Count > 0),
    Percentiles: PERCENTILES.map((percentile) => ({
      Percentile: percentile,
      Value: seconds(percentileUs(histogram, percentile)),
    })),
  };
}
