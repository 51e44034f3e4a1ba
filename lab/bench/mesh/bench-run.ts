import type { Machine } from '../../hosts/machine.ts';
import type { LatencyResult } from '../load/load-order.ts';
import type { Cell } from './cell.ts';
import type { ModeBudget } from '../budget/budget.ts';
import type { ModeName } from './modes.ts';

/** Version of the JSON in `bench.json`; a change that breaks readers changes the number. */
export const BENCH_SCHEMA = 'ambient-lab/bench/1';

/** A whole benchmark as pure data: what was measured, nothing made of it yet. */
export interface BenchRun {
  readonly schema: typeof BENCH_SCHEMA;
  readonly preset: string;
  readonly title: string;
  readonly seed: number;
  readonly rounds: number;
  readonly windowMs: number;
  readonly warmUpMs: number;
  readonly startedAt: string;
  readonly seconds: number;
  readonly machine: Machine;
  /** How many other things ran on the machine: its load average at the beginning. */
  readonly loadBefore: number;
  readonly modes: readonly ModeName[];
  /** Modes that were asked for and cannot be had here, and why. */
  readonly lacking: readonly Lacking[];
  readonly programs: readonly { readonly name: string; readonly version: string }[];
  readonly cells: readonly MeasuredCell[];
  readonly budgets: readonly ModeBudget[];
}

export interface Lacking {
  readonly mode: ModeName;
  readonly why: string;
}

export interface MeasuredCell {
  readonly cell: Cell;
  /** One a round, in order. */
  readonly samples: Readonly<Partial<Record<ModeName, readonly Sample[]>>>;
}

/** One window of one load on one mode. */
export interface Sample {
  /** Counts from 1. */
  readonly round: number;
  /** Requests answered when the window closed, connections served, or bytes sent. */
  readonly done: number;
  readonly seconds: number;
  readonly failures: number;
  readonly clientCpuSeconds: number;
  readonly appCpuSeconds: number;
  readonly proxies: readonly ProxySample[];
  readonly latency?: LatencyResult;
}

export interface ProxySample {
  readonly name: string;
  readonly side: 'client' | 'server' | 'both';
  readonly cpuSeconds: number;
  /** Most resident bytes during the window. */
  readonly peakBytes: number;
}
