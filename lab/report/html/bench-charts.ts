import type { ModeBudget } from '../../bench/budget/budget.ts';
import { PARTS } from '../../bench/budget/split-request.ts';
import { type Cell, cellTitle, isLatency } from '../../bench/mesh/cell.ts';
import { titleOf } from '../../bench/mesh/modes.ts';
import type { CellSummary, ModeSummary } from '../../bench/mesh/summarise.ts';
import {
  cpuText,
  intervalText,
  memoryText,
  PART_WORDS,
  rateText,
  tickText,
  timeText,
  workText,
} from '../bench-words.ts';
import { linearAxis, logAxis, ninesAxis, stepAxis } from './charts/axis.ts';
import { type Bar, bars } from './charts/bars.ts';
import { patternOf } from './charts/parts.ts';
import { type Line, plot, type Point } from './charts/plot.ts';
import type { Markup } from './markup.ts';

/** A chart and what it says above it. */
export interface Chart {
  readonly title: string;
  readonly about: string;
  readonly drawing: Markup;
}

const GIGABIT_BYTES = 1e9 / 8;

type Percentile = 'p50Us' | 'p99Us';
const NAMES: Readonly<Record<Percentile, string>> = {
  p50Us: 'Median latency',
  p99Us: 'Latency at p99',
};

/** What varies between the cells of a sweep, where something does. */
export type Sweep = 'connections' | 'rate';

/** The latency cells of one placement that differ in one thing only, the largest such group. */
export function sweepOf(
  cells: readonly CellSummary[],
): { readonly by: Sweep; readonly cells: readonly CellSummary[] } | undefined {
  const latencies = cells.filter(({ cell }) => isLatency(cell) && cell.placement === 'other-node');
  const groups = latencies.flatMap(({ cell }) => [
    { by: 'connections' as const, cells: latencies.filter((each) => each.cell.rate === cell.rate) },
    {
      by: 'rate' as const,
      cells: latencies.filter((each) => each.cell.connections === cell.connections),
    },
  ]);
  const [largest] = groups.sort((a, b) => b.cells.length - a.cells.length);
  return largest && largest.cells.length > 1 ? largest : undefined;
}

/** Latency against connections, or against the rate: a line a mode, with intervals. */
export function sweepChart(
  { by, cells }: { readonly by: Sweep; readonly cells: readonly CellSummary[] },
  which: Percentile,
): Chart {
  const valueOf = ({ cell }: CellSummary): number =>
    by === 'rate' ? (cell.rate ?? 0) : cell.connections;
  const sorted = [...cells].sort((a, b) => valueOf(a) - valueOf(b));
  const first = sorted[0]!.cell;
  const lines = modesOf(sorted).map((mode): Line => ({
    mode,
    points: sorted.flatMap((summary) => {
      const row = summary.modes.find((each) => each.mode === mode);
      return row?.latency ? [pointOf(valueOf(summary), row, which)] : [];
    }),
  }));
  const fixed =
    by === 'rate'
      ? `${first.connections} connections`
      : `${(first.rate ?? 0).toLocaleString('en')} requests/s`;
  const points = lines.flatMap((line) => line.points);
  const ends = points
    .flatMap(({ y, low = y, high = y }) => [low, high])
    .filter((value) => value > 0);
  const title = `${NAMES[which]} by ${by === 'rate' ? 'requests per second' : 'connections'}`;
  return {
    title,
    about: `${fixed}, other node. Medians of the rounds with their 95 % intervals, logarithmic.`,
    drawing: plot({
      title,
      x: stepAxis(by === 'rate' ? 'requests per second' : 'connections', sorted.map(valueOf)),
      y: logAxis('', Math.min(...ends), Math.max(...ends), tickText),
      lines,
    }),
  };
}

function pointOf(x: number, { mode, latency }: ModeSummary, which: Percentile): Point {
  const { median, low, high } = latency![which];
  const words = `${titleOf(mode)}, ${x.toLocaleString('en')}: ${timeText(median)} (${intervalText({ median, low, high }, timeText)})`;
  return { x, y: median, low, high, words };
}

/** The whole distribution of one load: how many requests were answered within which time. */
export function distributionChart({ cell, modes }: CellSummary): Chart {
  const lines = modes.flatMap(({ mode, latency }): Line[] => {
    if (latency === undefined) return [];
    const points = latency.curve
      .filter(({ percentile }) => percentile < 100)
      .map(({ percentile, valueUs }) => ({
        x: valueUs,
        y: percentile,
        words: `${titleOf(mode)}: ${percentile} % within ${timeText(valueUs)}`,
      }));
    return [{ mode, points, isCurve: true }];
  });
  const values = lines.flatMap(({ points }) => points.map(({ x }) => x));
  const title = 'Share of requests answered within a time';
  return {
    title,
    about: `${cellTitle(cell)}, all rounds. Upwards each line is one more nine; to the right is slower.`,
    drawing: plot({
      title,
      x: logAxis(
        'latency from the moment a request was due',
        Math.min(...values),
        Math.max(...values),
        tickText,
      ),
      y: ninesAxis('', Math.max(...lines.flatMap(({ points }) => points.map(({ y }) => y)))),
      lines,
    }),
  };
}

/** CPU that the proxies took for what they carried; both sides in one bar. */
export function cpuChart(summary: CellSummary): Chart {
  const title = `Cost: ${workText(summary)} of the proxies`;
  const all = summary.modes.map((row): Bar => {
    const { client, server } = row.proxyCpuMsOfSides;
    const { median, low, high } = row.proxyCpuMs;
    const rest = Math.max(0, median - client - server);
    const name = titleOf(row.mode);
    return {
      mode: row.mode,
      low,
      high,
      label: median === 0 ? 'no proxy' : cpuText(median),
      parts: [
        { value: client + rest, words: `${name}, client side: ${cpuText(client + rest)}` },
        { value: server, words: `${name}, server side: ${cpuText(server)}` },
      ],
    };
  });
  return {
    title,
    about: `${cellTitle(summary.cell)}. The client’s side first, the server’s paler; intervals of both.`,
    drawing: bars({ title, axis: axisFor('CPU time', all, cpuText), bars: all }),
  };
}

export function memoryChart(summary: CellSummary): Chart {
  const title = 'Cost: memory of the proxies';
  const all = summary.modes.map(({ mode, proxyPeakBytes }): Bar => {
    const { median, low, high } = proxyPeakBytes;
    const words = `${titleOf(mode)}: ${memoryText(median)}`;
    const label = median === 0 ? 'no proxy' : memoryText(median);
    return { mode, low, high, label, parts: [{ value: median, words }] };
  });
  const aboutPods = 'One ztunnel serves all pods of its node; a sidecar serves one.';
  return {
    title,
    about: `${cellTitle(summary.cell)}. Most resident bytes, both sides together. ${aboutPods}`,
    drawing: bars({ title, axis: axisFor('memory', all, memoryText), bars: all }),
  };
}

/** Saturation, new connections or throughput. */
export function rateChart(summary: CellSummary): Chart {
  const { kind } = summary.cell;
  const title = RATE_TITLES[kind];
  const text = (value: number): string => rateText(summary, value);
  const unit = kind === 'throughput' ? GIGABIT_BYTES : 1;
  const all = summary.modes.map(({ mode, perSecond: { median, low, high } }): Bar => {
    const parts = [{ value: median / unit, words: `${titleOf(mode)}: ${text(median)}` }];
    return { mode, low: low / unit, high: high / unit, label: text(median), parts };
  });
  const axis = axisFor(kind === 'throughput' ? 'Gbit/s' : 'per second', all, (value) =>
    value.toLocaleString('en'),
  );
  return {
    title,
    about: `${cellTitle(summary.cell)}. More is better.`,
    drawing: bars({ title, axis, bars: all }),
  };
}

const RATE_TITLES: Readonly<Record<Cell['kind'], string>> = {
  'open-loop': 'Requests per second',
  'closed-loop': 'Saturation: requests per second',
  'new-connections': 'New connections per second',
  throughput: 'Throughput',
};

/** Where the median request spends its time. */
export function budgetChart(budgets: readonly ModeBudget[]): Chart {
  const title = 'Where the time of the median request goes';
  const all = budgets.map(({ mode, partsUs, medianUs }): Bar => ({
    mode,
    label: timeText(medianUs),
    parts: PARTS.filter((part) => partsUs[part] > 0).map((part) => ({
      value: partsUs[part],
      pattern: patternOf(part),
      words: `${titleOf(mode)}, ${PART_WORDS[part].title}: ${timeText(partsUs[part])}`,
    })),
  }));
  return {
    title,
    about: 'One connection, one request at a time, every interface recorded; that costs, too.',
    drawing: bars({ title, axis: axisFor('', all, tickText), bars: all }),
  };
}

function axisFor(
  title: string,
  all: readonly Bar[],
  label: (value: number) => string,
): ReturnType<typeof linearAxis> {
  const ends = all.map(({ parts, high = 0 }) =>
    Math.max(
      high,
      parts.reduce((sum, { value }) => sum + value, 0),
    ),
  );
  return linearAxis(title, Math.max(...ends), (value) => (value === 0 ? '0' : label(value)));
}

function modesOf(cells: readonly CellSummary[]): readonly ModeSummary['mode'][] {
  return [...new Set(cells.flatMap(({ modes }) => modes.map(({ mode }) => mode)))];
}
