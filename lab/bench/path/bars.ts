import type { Measured } from './measure.ts';
import type { LoadName } from './run.ts';
import type { VariantName } from './variants.ts';

/** What ours is divided by. */
export type Yardstick = Exclude<VariantName, 'direct' | 'ours'>;

export interface RatioBar {
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** One figure of each variant, and what ours over each yardstick should be. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly load: LoadName;
  readonly value: (measured: Measured) => number | undefined;
  readonly bars: Readonly<Partial<Record<Yardstick, RatioBar>>>;
}

const GIGABIT = 1e9 / 8;
const cpuMsPerThousand = (m: Measured): number => (m.cpuSeconds * 1e6) / m.done;
const perSecond = (m: Measured): number => m.done / m.seconds;
const gigabitPerCpuSecond = (m: Measured): number => m.done / GIGABIT / m.cpuSeconds;
const gigabitPerSecond = (m: Measured): number => m.done / GIGABIT / m.seconds;

export const FIGURES: readonly Figure[] = [
  {
    name: 'p50 at 1,000 rps, 16 connections',
    unit: 'µs',
    load: 'latency',
    value: (m) => m.p50Us,
    bars: { haproxy: { atMost: 0.9 }, envoy: { atMost: 0.55 } },
  },
  {
    name: 'p99 at 1,000 rps, 16 connections',
    unit: 'µs',
    load: 'latency',
    value: (m) => m.p99Us,
    bars: { haproxy: { atMost: 1 } },
  },
  {
    name: 'CPU per 1,000 requests at 1,000 rps',
    unit: 'ms',
    load: 'latency',
    value: cpuMsPerThousand,
    bars: { haproxy: { atMost: 0.85 } },
  },
  {
    name: 'p99 beside a stream of 1 Gbit/s',
    unit: 'µs',
    load: 'besideStream',
    value: (m) => m.p99Us,
    bars: { haproxy: { atMost: 1.3 } },
  },
  {
    name: 'requests/s, 64 connections',
    unit: '/s',
    load: 'saturation',
    value: perSecond,
    bars: { haproxy: { atLeast: 2 }, envoy: { atLeast: 3.5 } },
  },
  {
    name: 'CPU per 1,000 requests, 64 connections',
    unit: 'ms',
    load: 'saturation',
    value: cpuMsPerThousand,
    bars: { haproxy: { atMost: 0.45 } },
  },
  {
    name: 'new connections/s',
    unit: '/s',
    load: 'connections',
    value: perSecond,
    bars: { haproxy: { atLeast: 4 }, envoy: { atLeast: 1.2 } },
  },
  {
    name: 'CPU per 1,000 connections',
    unit: 'ms',
    load: 'connections',
    value: cpuMsPerThousand,
    bars: {},
  },
  {
    name: 'Gbit per CPU-second, 1 stream',
    unit: '',
    load: 'stream1',
    value: gigabitPerCpuSecond,
    bars: { haproxy: { atLeast: 1.6 } },
  },
  {
    name: 'Gbit per CPU-second, 4 streams',
    unit: '',
    load: 'stream4',
    value: gigabitPerCpuSecond,
    bars: { haproxy: { atLeast: 1.6 } },
  },
  { name: 'Gbit/s, 1 stream', unit: '', load: 'stream1', value: gigabitPerSecond, bars: {} },
  { name: 'Gbit/s, 4 streams', unit: '', load: 'stream4', value: gigabitPerSecond, bars: {} },
];
