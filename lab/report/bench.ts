import type { GrowthRow } from '../bench/growth/growth.ts';
import type { ModeBudget } from '../bench/budget/budget.ts';
import { PARTS } from '../bench/budget/split-request.ts';
import type { BenchRun } from '../bench/mesh/bench-run.ts';
import { cellTitle } from '../bench/mesh/cell.ts';
import type { Comparison } from '../bench/mesh/compare-modes.ts';
import { titleOf } from '../bench/mesh/modes.ts';
import type { CellSummary, LatencySummary, ModeSummary } from '../bench/mesh/summarise.ts';
import {
  addedText,
  BUDGET_ABOUT,
  busyText,
  cautions,
  COMPARABLE,
  comparisonText,
  cpuText,
  intervalText,
  memoryText,
  PART_WORDS,
  partText,
  rateText,
  runText,
  SIDECAR_BOUND,
  timeText,
  workText,
} from './bench-words.ts';
import { GROWTH_ABOUT, GROWTH_COLUMNS } from './growth.ts';
import { columns, pad, styled, type TextOptions, wrap } from './text.ts';

export interface BenchTextOptions extends TextOptions {
  readonly width: number;
}

export interface BenchReport {
  readonly run: BenchRun;
  readonly cells: readonly CellSummary[];
  readonly comparisons: readonly Comparison[];
  /** Configuration of meshes of growing size; absent where it was not counted. */
  readonly growth?: readonly GrowthRow[];
}

/** The result of a benchmark as tables for people. */
export function renderBench(report: BenchReport, options: BenchTextOptions): string {
  const { run, cells, comparisons, growth } = report;
  const paragraph = (text: string): string => wrap(text, options.width, '').join('\n');
  const title = styled(`bench ${run.preset}: ${run.title}`, 'bold', options);
  const busy = busyText(run);
  return [
    `${title}\n${paragraph(runText(run))}`,
    ...(busy === undefined ? [] : [styled(paragraph(busy), 'yellow', options)]),
    ...cells.map((cell) => cellTable(cell, options)),
    ...(comparisons.length > 0 ? [orderText(comparisons, options)] : []),
    ...(run.budgets.length > 0 ? [budgetTable(run.budgets, options)] : []),
    ...(growth === undefined ? [] : [growthTable(growth, options)]),
    ...run.lacking.map(({ mode, why }) => paragraph(`Not measured: ${titleOf(mode)}. ${why}`)),
    [...cautions(cells), COMPARABLE, ...(run.modes.includes('sidecar') ? [SIDECAR_BOUND] : [])]
      .map(paragraph)
      .join('\n'),
  ].join('\n\n');
}

/** Columns from which on there is room for all percentiles. */
const WIDE = 140;

function cellTable(summary: CellSummary, options: BenchTextOptions): string {
  const { cell, modes } = summary;
  const head = styled(cellTitle(cell), 'bold', options);
  const isLatency = cell.kind === 'open-loop';
  const isWide = options.width >= WIDE;
  const percentiles = isWide ? ['p50', 'p90', 'p99', 'p99.9'] : ['p50', 'p99'];
  const titles = isLatency
    ? ['', ...percentiles, 'p50 added (95 %)', 'p99 added (95 %)']
    : ['', 'per second', '95 %'];
  const rows = modes.map((row) => [
    titleOf(row.mode),
    ...(row.latency && isLatency
      ? latencyCells(row, row.latency, isWide)
      : rateCells(summary, row)),
    cpuText(row.proxyCpuMs.median),
    memoryText(row.proxyPeakBytes.median),
  ]);
  return `${head}\n${table([...titles, workText(summary), 'memory'], rows)}`;
}

function latencyCells(
  { added }: ModeSummary,
  { p50Us, p90Us, p99Us, p999Us }: LatencySummary,
  isWide: boolean,
): readonly string[] {
  const more = (which: 'p50Us' | 'p99Us'): string => {
    const interval = added?.[which];
    return interval === undefined ? '' : addedText(interval);
  };
  return [
    timeText(p50Us.median),
    ...(isWide ? [timeText(p90Us.median)] : []),
    timeText(p99Us.median),
    ...(isWide ? [timeText(p999Us)] : []),
    more('p50Us'),
    more('p99Us'),
  ];
}

function rateCells(summary: CellSummary, { perSecond }: ModeSummary): readonly string[] {
  const text = (value: number): string => rateText(summary, value);
  return [text(perSecond.median), intervalText(perSecond, text)];
}

function orderText(comparisons: readonly Comparison[], options: BenchTextOptions): string {
  const [first] = comparisons;
  const title = first ? `Order at ${cellTitle(first.cell)}` : 'Order';
  return [
    styled(title, 'bold', options),
    ...comparisons.map((each) => `  ${comparisonText(each)}`),
  ].join('\n');
}

function budgetTable(budgets: readonly ModeBudget[], options: BenchTextOptions): string {
  const titles = [
    'Where the median goes',
    ...PARTS.map((part) => PART_WORDS[part].title),
    'median',
    'legs',
    'readable between nodes',
  ];
  const rows = budgets.map((budget) => [
    titleOf(budget.mode),
    ...PARTS.map((part) => partText(budget.partsUs[part])),
    timeText(budget.medianUs),
    String(budget.legs),
    `${budget.readable} of ${budget.requests}`,
  ]);
  return `${table(titles, rows)}\n${wrap(BUDGET_ABOUT, options.width, '').join('\n')}`;
}

function growthTable(rows: readonly GrowthRow[], options: BenchTextOptions): string {
  const title = styled('Configuration as a mesh grows', 'bold', options);
  const titles = GROWTH_COLUMNS.map((column) => column.title);
  const body = rows.map((row) => GROWTH_COLUMNS.map(({ text }) => text(row)));
  return `${title}\n${table(titles, body)}\n${wrap(GROWTH_ABOUT, options.width, '').join('\n')}`;
}

/** Columns as wide as their widest text; all but the first to the right. */
function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [titles, ...rows];
  const widths = titles.map((_, column) =>
    Math.max(...all.map((row) => columns(row[column] ?? ''))),
  );
  return all
    .map((row) =>
      titles
        .map((_, column) => {
          const text = row[column] ?? '';
          const width = widths[column] ?? 0;
          return column === 0 ? pad(text, width) : ' '.repeat(width - columns(text)) + text;
        })
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `  ${line}`)
    .join('\n');
}
