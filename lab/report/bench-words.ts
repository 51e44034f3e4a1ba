import type { Part } from '../bench/budget/split-request.ts';
import type { BenchRun } from '../bench/mesh/bench-run.ts';
import { type CellSummary } from '../bench/mesh/summarise.ts';
import { type Comparison, type Metric } from '../bench/mesh/compare-modes.ts';
import { cellTitle } from '../bench/mesh/cell.ts';
import { titleOf } from '../bench/mesh/modes.ts';
import type { Interval } from '../bench/statistics.ts';
import { formatBytes } from './text.ts';

/** What may be compared with other machines and papers, and what not. */
export const COMPARABLE =
  'Comparable is the cost of the topology (hops, encryption, redirect, copies) between the modes of ' +
  'one run on one machine; absolute times are this machine’s own. The ztunnel of this project is ' +
  'TypeScript, not the genuine one (--ztunnel measures that).';

/** What stands beside every figure of a sidecar. */
export const SIDECAR_BOUND =
  'A stock Envoy lacks the telemetry and peer metadata filters of Istio’s proxy, and nobody has it log ' +
  'requests here: the cost of a sidecar is a lower bound.';

export const METRIC_WORDS: Readonly<Record<Metric, string>> = {
  p50: 'median latency',
  p99: 'latency at p99',
  cpu: 'CPU of the proxies',
  memory: 'memory of the proxies',
};

export const PART_WORDS: Readonly<
  Record<Part, { readonly title: string; readonly about: string }>
> = {
  client: { title: 'client', about: 'its own system calls, TCP and wake-up' },
  redirect: { title: 'redirect', about: 'between the pod and a proxy elsewhere on the node' },
  'client-proxy': { title: 'proxy, client side', about: 'in, through and out again' },
  wire: { title: 'wire', about: 'links, nodes and switch between the pods' },
  'server-proxy': { title: 'proxy, server side', about: 'in, through and out again' },
  app: { title: 'app', about: 'from its last interface back to it' },
};

/** How the parts of the budget were found, and what could not be. */
export const BUDGET_ABOUT =
  'From time stamps of every interface that a request passed, one request at a time. A proxy’s part ' +
  'has its share of the kernel (netfilter, TCP, wake-up) in it. Encryption: not separated, no packet ' +
  'shows where it begins. Where the redirect is inside the pod no interface lies between app and ' +
  'redirect: what it costs there is within the client’s part, and can only be inferred from what ' +
  'that has more than without a mesh.';

/** A time in microseconds, three digits. */
export function timeText(us: number): string {
  if (!Number.isFinite(us)) return '–';
  const size = Math.abs(us);
  if (size < 10) return `${us.toFixed(1)} µs`;
  if (size < 1_000) return `${us.toFixed(0)} µs`;
  if (size < 1e6) return `${(us / 1_000).toFixed(size < 1e4 ? 2 : 1)} ms`;
  return `${(us / 1e6).toFixed(2)} s`;
}

export function signed(us: number): string {
  return us < 0 ? `−${timeText(-us)}` : `+${timeText(us)}`;
}

/** `low–high`, in one unit. */
export function intervalText({ low, high }: Interval, text: (value: number) => string): string {
  return `${text(low)} to ${text(high)}`;
}

/** What a load came to per second, in its own unit. */
export function rateText({ cell }: CellSummary, perSecond: number): string {
  if (cell.kind === 'throughput') return `${((perSecond * 8) / 1e9).toFixed(2)} Gbit/s`;
  return `${Math.round(perSecond).toLocaleString('en')}/s`;
}

export function workText({ cell }: CellSummary): string {
  switch (cell.kind) {
    case 'throughput':
      return 'CPU/Gbit';
    case 'new-connections':
      return 'CPU/1,000 conn.';
    default:
      return 'CPU/1,000 req.';
  }
}

export function cpuText(ms: number): string {
  return ms === 0 ? '–' : `${ms < 100 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
}

export function memoryText(bytes: number): string {
  return bytes === 0 ? '–' : formatBytes(bytes);
}

/** One comparison as a sentence. */
export function comparisonText({ metric, mode, than, ratio, verdict }: Comparison): string {
  const times = `${ratio.median.toFixed(2)}× (${ratio.low.toFixed(2)}–${ratio.high.toFixed(2)})`;
  const word = { less: 'less than', more: 'more than', unclear: 'cannot be told from' }[verdict];
  return `${METRIC_WORDS[metric]}: ${titleOf(mode)} ${word} ${titleOf(than)}, ${times}`;
}

const MOST_SHARE = 0.5;

/** What a reader must know before believing a figure: about the generator, and loads not reached. */
export function cautions(cells: readonly CellSummary[]): readonly string[] {
  const dear = cells.flatMap(({ cell, modes }) =>
    modes
      .filter(({ clientShare }) => clientShare > MOST_SHARE)
      .map(
        ({ mode, clientShare }) =>
          `${titleOf(mode)} ${clientShare.toFixed(2)} (${cellTitle(cell)})`,
      ),
  );
  const missed = cells.flatMap(({ cell, modes }) =>
    modes
      .filter(({ perSecond }) => perSecond.median < REACHED * (cell.rate ?? 0))
      .map(
        (row) =>
          `${titleOf(row.mode)} ${Math.round(row.perSecond.median).toLocaleString('en')}/s (${cellTitle(cell)})`,
      ),
  );
  const failed = cells.flatMap(({ cell, modes }) =>
    modes
      .filter(({ failures }) => failures > 0)
      .map(({ mode, failures }) => `${titleOf(mode)} ${failures} (${cellTitle(cell)})`),
  );
  return [
    ...(dear.length > 0
      ? [
          `The load generator used more than half of the CPU of what it measured (app and proxies): ${dear.join('; ')}.`,
        ]
      : [
          'The load generator used less than half of the CPU of what it measured (app and proxies), everywhere.',
        ]),
    ...(missed.length > 0
      ? [`Rates that were not reached, so their latency is that of a queue: ${missed.join('; ')}.`]
      : []),
    ...(failed.length > 0 ? [`Failed: ${failed.join('; ')}.`] : []),
  ];
}

/** Answered within the window; the last ones are still on their way when it closes. */
const REACHED = 0.95;

/** What was run, in a line. */
export function runText(run: BenchRun): string {
  const { modes, rounds, windowMs, seed, seconds, machine, loadBefore } = run;
  return (
    `${modes.length} modes × ${rounds} rounds in random order (--seed ${seed}), windows of ` +
    `${windowMs} ms after ${run.warmUpMs} ms of warm-up, ${seconds.toFixed(0)} s in all; ` +
    `${machine.processors} processors, load ${loadBefore.toFixed(1)} before`
  );
}

const BUSY = 0.5;

/** A machine that has other things to do falsifies what is measured; absent when it had none. */
export function busyText({ machine, loadBefore }: BenchRun): string | undefined {
  if (loadBefore < BUSY * machine.processors) return undefined;
  const { processors } = machine;
  return `The machine was busy before it began (load ${loadBefore.toFixed(1)} on ${processors} processors): do not trust its times.`;
}
