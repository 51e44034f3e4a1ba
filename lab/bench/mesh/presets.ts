import type { Placement } from './bench-plan.ts';
import type { Cell } from './cell.ts';
import { type ModeName, OWN_MODES } from './modes.ts';

export interface Preset {
  readonly name: string;
  readonly title: string;
  /** Modes unless others are asked for; a foreign ztunnel joins them when one is given. */
  readonly modes: readonly ModeName[];
  readonly rounds: number;
  readonly cells: readonly Cell[];
  /** Length of each measured window. */
  readonly windowMs: number;
  /**
   * Time for all windows together, with what comes around each: windows become shorter or longer
   * until they fit, whatever the number of modes.
   */
  readonly fitMs?: number;
  /** Requests of the latency budget, and their pace. */
  readonly budgetRequests: number;
}

const SWEEP: readonly number[] = [1, 2, 4, 8, 16, 32, 64];
const ISTIO_RATES: readonly number[] = [500, 750, 1_000, 1_250, 1_500];

const latency = (connections: number, rate = 1_000, placement: Placement = 'other-node'): Cell => ({
  kind: 'open-loop',
  placement,
  connections,
  rate,
});
const other = (kind: Cell['kind'], connections: number): Cell => ({
  kind,
  placement: 'other-node',
  connections,
});

export const PRESETS: readonly Preset[] = [
  {
    name: 'quick',
    title: 'everything once over, within two minutes',
    modes: OWN_MODES,
    rounds: 5,
    cells: [
      ...[1, 16, 64].map((connections) => latency(connections)),
      latency(16, 1_000, 'same-node'),
      other('closed-loop', 64),
      other('new-connections', 16),
      other('throughput', 1),
    ],
    windowMs: 500,
    fitMs: 70_000,
    budgetRequests: 200,
  },
  {
    name: 'istio-1.22',
    title: 'the set-up of Istio 1.22: 1,000 requests/s over 1 to 64 connections',
    modes: ['none', 'inpod-tproxy', 'sidecar'],
    rounds: 5,
    cells: SWEEP.map((connections) => latency(connections)),
    windowMs: 4_000,
    budgetRequests: 300,
  },
  {
    name: 'istio-1.24',
    title: 'the set-up of Istio 1.24: 500 to 1,500 requests/s over 4 connections',
    modes: ['none', 'inpod-redirect', 'sidecar'],
    rounds: 5,
    cells: ISTIO_RATES.map((rate) => latency(4, rate)),
    windowMs: 4_000,
    budgetRequests: 300,
  },
  {
    name: 'arxiv-2411.02267',
    title: 'the rates of arXiv 2411.02267: 3,200 and 12,800 requests/s (64 connections are ours)',
    modes: ['none', 'inpod-redirect', 'sidecar'],
    rounds: 5,
    cells: [latency(64, 3_200), latency(64, 12_800)],
    windowMs: 5_000,
    budgetRequests: 300,
  },
  {
    name: 'full',
    title: 'all modes, all loads, both placements',
    modes: OWN_MODES,
    rounds: 7,
    cells: [
      ...SWEEP.map((connections) => latency(connections)),
      latency(16, 1_000, 'same-node'),
      other('closed-loop', 64),
      { ...other('closed-loop', 64), placement: 'same-node' },
      other('new-connections', 16),
      other('throughput', 1),
      other('throughput', 4),
    ],
    windowMs: 2_000,
    budgetRequests: 400,
  },
];

/** Load before each window: connections up, queues as they will be. */
export const WARM_UP_MS = 100;
/** Orders, connecting, waiting for the last answers: what each window costs besides. */
const AROUND_MS = 40;
const SHORTEST_WINDOW_MS = 100;

/** Length of the windows of a run: the preset's own, or what its time allows so many. */
export function windowFor(preset: Preset, modes: number, rounds: number): number {
  if (preset.fitMs === undefined) return preset.windowMs;
  const windows = modes * rounds * preset.cells.length;
  const each = preset.fitMs / windows - WARM_UP_MS - AROUND_MS;
  return Math.max(SHORTEST_WINDOW_MS, Math.floor(each));
}

/** Seconds that all windows of a run take, with what comes around them. */
export function secondsOf(preset: Preset, modes: number, rounds: number, windowMs: number): number {
  const each = windowMs + WARM_UP_MS + AROUND_MS;
  return (modes * rounds * preset.cells.length * each) / 1_000;
}
