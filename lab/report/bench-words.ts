import type { Part } from '../bench/budget/split-request.ts';
import type { BenchRun } from '../bench/mesh/bench-run.ts';
import { type CellSummary } from '../bench/mesh/summarise.ts';
import { type Comparison, type Metric } from '../bench/mesh/compare-modes.ts';
import { cellTitle } from '../bench/mesh/cell.ts';
import { type ModeName, titleOf } from '../bench/mesh/modes.ts';
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

/** A part that a mode has no interfaces for is told as such, not as nothing. */
export function partText(us: number): string {
  return us === 0 ? '–' : timeText(us);
}

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

/** The same along an axis: no digits that say nothing. */
export function tickText(us: number): string {
  const size = us < 1_000 ? 1 : us < 1e6 ? 1_000 : 1e6;
  return `${Number((us / size).toPrecision(3))} ${{ 1: 'µs', 1_000: 'ms', 1e6: 's' }[size]}`;
}

/** What a mode has more than another, with its interval, all in one unit: `+0.24 ms (0.07 to 0.81)`. */
export function addedText({ median, low, high }: Interval): string {
  const most = Math.max(...[median, low, high].map(Math.abs));
  const [size, unit, digits] =
    most < 1_000 ? [1, 'µs', 0] : most < 1e6 ? [1e3, 'ms', 2] : [1e6, 's', 2];
  const text = (us: number): string => (us / size).toFixed(digits).replace('-', '−');
  return `${median < 0 ? '' : '+'}${text(median)} ${unit} (${text(low)} to ${text(high)})`;
}

/** `low–high`. */
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
export function comparisonText(comparison: Comparison): string {
  const { ratio, metric } = comparison;
  return `${METRIC_WORDS[metric]}: ${againstText(comparison)}, ${ratio.median.toFixed(2)}× ${spanText(ratio)}`;
}

/** Who has more or less than whom. */
export function againstText({ mode, than, verdict }: Comparison): string {
  const word = { less: 'less than', more: 'more than', unclear: 'cannot be told from' }[verdict];
  return `${titleOf(mode)} ${word} ${titleOf(than)}`;
}

/** The interval of a ratio. */
export function spanText({ low, high }: Interval): string {
  return `(${low.toFixed(2)}–${high.toFixed(2)})`;
}

const MOST_SHARE = 0.5;

/** What a reader must know before believing a figure: about the generator, and loads not reached. */
export function cautions(cells: readonly CellSummary[]): readonly string[] {
  const rows = cells.flatMap(({ cell, modes }) => modes.map((row) => ({ cell, row })));
  const dear = worstOfModes(rows, ({ row }) => row.clientShare).filter(
    ({ value }) => value > MOST_SHARE,
  );
  const missed = rows.filter(({ cell, row }) => row.perSecond.median < REACHED * (cell.rate ?? 0));
  const failed = rows.filter(({ row }) => row.failures > 0);
  const list = (each: readonly string[]): string => each.join('; ');
  return [
    dear.length === 0
      ? 'The load generator used less than half of the CPU of what it measured (app and proxies), everywhere.'
      : 'The load generator used more than half of the CPU of what it measured (app and proxies), up to ' +
        `${list(dear.map(({ mode, value, cell }) => `${value.toFixed(2)} of it with ${titleOf(mode)} (${cellTitle(cell)})`))}.`,
    ...(missed.length === 0
      ? []
      : [
          'Rates that were not reached, so their latency is that of a queue: ' +
            `${list(missed.map(({ cell, row }) => `${titleOf(row.mode)} ${Math.round(row.perSecond.median).toLocaleString('en')}/s (${cellTitle(cell)})`))}.`,
        ]),
    ...(failed.length === 0
      ? []
      : [
          `Failed: ${list(failed.map(({ cell, row }) => `${titleOf(row.mode)} ${row.failures} (${cellTitle(cell)})`))}.`,
        ]),
  ];
}

interface CellRow {
  readonly cell: CellSummary['cell'];
  readonly row: CellSummary['modes'][number];
}

/** Of each mode the row with the largest value. */
function worstOfModes(
  rows: readonly CellRow[],
  valueOf: (row: CellRow) => number,
): readonly { readonly mode: ModeName; readonly value: number; readonly cell: CellRow['cell'] }[] {
  const worst = new Map<ModeName, CellRow>();
  for (const each of rows) {
    const known = worst.get(each.row.mode);
    if (known === undefined || valueOf(each) > valueOf(known)) worst.set(each.row.mode, each);
  }
  return [...worst].map(([mode, each]) => ({ mode, value: valueOf(each), cell: each.cell }));
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
