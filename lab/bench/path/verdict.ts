import type { Measured } from './measure.ts';
import type { BenchResult, LoadName } from './run.ts';
import { bootstrapMedian, median, seededRandom, type Interval } from '../statistics.ts';

/** One bar of the data path and how it stands. */
export interface BarResult {
  readonly name: string;
  readonly unit: string;
  readonly direct?: number;
  readonly haproxy?: number;
  readonly ours: number;
  /** Ours over haproxy, round by round; absent for absolute bars. */
  readonly ratio?: Interval;
  readonly bar: string;
  readonly holds: boolean;
}

interface RatioBar {
  readonly name: string;
  readonly unit: string;
  readonly load: LoadName;
  readonly value: (measured: Measured) => number | undefined;
  readonly atMost?: number;
  readonly atLeast?: number;
}

const GIGABIT = 1e9 / 8;
const cpuMsPerThousand = (m: Measured): number => (m.cpuSeconds * 1e6) / m.done;
const perSecond = (m: Measured): number => m.done / m.seconds;
const gigabitPerCpuSecond = (m: Measured): number => m.done / GIGABIT / m.cpuSeconds;
const gigabitPerSecond = (m: Measured): number => m.done / GIGABIT / m.seconds;

const RATIO_BARS: readonly RatioBar[] = [
  {
    name: 'p50 at 1,000 rps, 16 connections',
    unit: 'µs',
    load: 'latency',
    value: (m) => m.p50Us,
    atMost: 1.1,
  },
  {
    name: 'p99 at 1,000 rps, 16 connections',
    unit: 'µs',
    load: 'latency',
    value: (m) => m.p99Us,
    atMost: 1.5,
  },
  {
    name: 'CPU per 1,000 requests at 1,000 rps',
    unit: 'ms',
    load: 'latency',
    value: cpuMsPerThousand,
    atMost: 1.1,
  },
  {
    name: 'requests/s, 64 connections',
    unit: '/s',
    load: 'saturation',
    value: perSecond,
    atLeast: 1.5,
  },
  {
    name: 'CPU per 1,000 requests, 64 connections',
    unit: 'ms',
    load: 'saturation',
    value: cpuMsPerThousand,
    atMost: 0.6,
  },
  { name: 'new connections/s', unit: '/s', load: 'connections', value: perSecond, atLeast: 4 },
  { name: 'CPU per 1,000 connections', unit: 'ms', load: 'connections', value: cpuMsPerThousand },
  {
    name: 'Gbit per CPU-second, 1 stream',
    unit: '',
    load: 'stream1',
    value: gigabitPerCpuSecond,
    atLeast: 1,
  },
  {
    name: 'Gbit per CPU-second, 4 streams',
    unit: '',
    load: 'stream4',
    value: gigabitPerCpuSecond,
    atLeast: 1,
  },
  { name: 'Gbit/s, 1 stream', unit: '', load: 'stream1', value: gigabitPerSecond },
  { name: 'Gbit/s, 4 streams', unit: '', load: 'stream4', value: gigabitPerSecond },
];

const MOST_RESIDENT_BYTES = 90 * 1e6;
const MOST_IDLE_BYTES = 20 * 1e3;
const SEED = 20_241_121;

/** Each bar with its medians, interval and whether it holds. A failed request fails its bar. */
export function judge(result: BenchResult): BarResult[] {
  const bars = RATIO_BARS.map((bar) => judgeRatio(bar, result));
  const { peakBytes, idleBytes } = result.memory;
  const peak = Math.max(...peakBytes);
  const idle = Math.max(...idleBytes);
  bars.push(
    {
      name: 'peak resident memory of a ztunnel',
      unit: 'MB',
      ours: peak / 1e6,
      bar: '≤ 90',
      holds: peak <= MOST_RESIDENT_BYTES,
    },
    {
      name: 'an idle connection of 1,000 costs a ztunnel',
      unit: 'kB',
      ours: idle / 1e3,
      bar: '≤ 20',
      holds: idle <= MOST_IDLE_BYTES,
    },
  );
  return bars;
}

function judgeRatio(bar: RatioBar, result: BenchResult): BarResult {
  const samples = result.samples[bar.load];
  const values = (list: readonly Measured[]): number[] =>
    list.map((m) => bar.value(m) ?? Number.NaN);
  const ours = values(samples.ours);
  const haproxy = values(samples.haproxy);
  const ratio = bootstrapMedian(
    ours.map((value, round) => value / haproxy[round]!),
    seededRandom(SEED),
  );
  const failures = samples.ours.reduce((sum, m) => sum + m.failures, 0);
  const isMet =
    (bar.atMost === undefined || ratio.median <= bar.atMost) &&
    (bar.atLeast === undefined || ratio.median >= bar.atLeast);
  const direct = median(values(samples.direct));
  return {
    name: bar.name,
    unit: bar.unit,
    ...(Number.isFinite(direct) ? { direct } : {}),
    haproxy: median(haproxy),
    ours: median(ours),
    ratio,
    bar: describeBar(bar) + (failures > 0 ? ` (${failures} failed)` : ''),
    holds: isMet && failures === 0,
  };
}

function describeBar(bar: RatioBar): string {
  if (bar.atMost !== undefined) return `≤ ${bar.atMost.toFixed(2)}×`;
  return bar.atLeast === undefined ? '' : `≥ ${bar.atLeast.toFixed(2)}×`;
}
