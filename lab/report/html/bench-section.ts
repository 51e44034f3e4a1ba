import { PARTS } from '../../bench/budget/split-request.ts';
import { cellTitle, isLatency } from '../../bench/mesh/cell.ts';
import { nearestToIstio } from '../../bench/mesh/compare-modes.ts';
import { titleOf } from '../../bench/mesh/modes.ts';
import type { CellSummary, ModeSummary } from '../../bench/mesh/summarise.ts';
import type { BenchReport } from '../bench.ts';
import {
  addedText,
  againstText,
  BUDGET_ABOUT,
  busyText,
  cautions,
  COMPARABLE,
  cpuText,
  intervalText,
  memoryText,
  METRIC_WORDS,
  PART_WORDS,
  partText,
  rateText,
  SIDECAR_BOUND,
  spanText,
  timeText,
  workText,
} from '../bench-words.ts';
import {
  budgetChart,
  type Chart,
  cpuChart,
  distributionChart,
  memoryChart,
  rateChart,
  sweepChart,
  sweepOf,
} from './bench-charts.ts';
import { partKeys, partPatterns } from './charts/parts.ts';
import { modeLegend } from './charts/series.ts';
import { growthSection } from './growth-section.ts';
import { html, type Markup } from './markup.ts';
import { framedTable } from './table.ts';

/** A benchmark: what came out, charts of it, and all figures in tables. */
export function benchSection(report: BenchReport): Markup {
  const { run, cells, comparisons } = report;
  const main = nearestToIstio(cells);
  const busy = busyText(run);
  return html`<div class="bench">
    ${partPatterns()}
    <section aria-labelledby="bench-title">
      <h2 id="bench-title">What came out</h2>
      ${busy !== undefined && html`<p class="note">${busy}</p>`}
      <ul class="headline">
        ${comparisons.map(
          (each) =>
            html`<li>
              ${METRIC_WORDS[each.metric]}
              <strong
                >${each.ratio.median.toFixed(2)}× <small>${spanText(each.ratio)}</small></strong
              >
              ${againstText(each)}
            </li>`,
        )}
      </ul>
      ${main !== undefined && html`<p>Medians of the rounds at ${cellTitle(main.cell)}, with their 95 % intervals.</p>`}
      ${modeLegend(run.modes)}
      <div class="charts">${chartsOf(cells, main).map(chartBox)}</div>
    </section>
    ${run.budgets.length > 0 && budgetSection(report)}
    ${report.growth && growthSection(report.growth, chartBox)}
    <section aria-labelledby="figures-title">
      <h2 id="figures-title">All figures</h2>
      ${cells.map(figures)}
    </section>
    <section aria-labelledby="believe-title">
      <h2 id="believe-title">How far to believe it</h2>
      ${[
        COMPARABLE,
        ...(run.modes.includes('sidecar') ? [SIDECAR_BOUND] : []),
        ...cautions(cells),
        ...run.lacking.map(({ mode, why }) => `Not measured: ${titleOf(mode)}. ${why}`),
      ].map((text) => html`<p>${text}</p>`)}
    </section>
  </div>`;
}

function chartsOf(cells: readonly CellSummary[], main: CellSummary | undefined): readonly Chart[] {
  const sweep = sweepOf(cells);
  return [
    ...(sweep ? [sweepChart(sweep, 'p50Us'), sweepChart(sweep, 'p99Us')] : []),
    ...(main ? [distributionChart(main), cpuChart(main), memoryChart(main)] : []),
    ...cells.filter(({ cell }) => !isLatency(cell)).map(rateChart),
  ];
}

function chartBox({ title, about, drawing }: Chart): Markup {
  return html`<figure class="chart-box">
    <figcaption><strong>${title}</strong><span>${about}</span></figcaption>
    ${drawing}
  </figure>`;
}

function budgetSection({ run }: BenchReport): Markup {
  const columns = ['Mode', ...PARTS.map((part) => PART_WORDS[part].title), 'Median', 'Legs'];
  return html`<section aria-labelledby="budget-title">
    <h2 id="budget-title">Latency budget</h2>
    ${chartBox(budgetChart(run.budgets))} ${partKeys()}
    <p>${BUDGET_ABOUT}</p>
    ${framedTable(
      {
        label: 'Latency budget',
        className: 'cards',
        columns: [...columns, 'Readable between nodes', 'Way seen'],
        rows: run.budgets,
        unit: 'modes',
      },
      ({ mode, partsUs, medianUs, legs, readable, requests, split }) =>
        html`<tr>
          <th scope="row">${titleOf(mode)}</th>
          ${PARTS.map((part) => cell(PART_WORDS[part].title, partText(partsUs[part])))}
          ${cell('Median', timeText(medianUs))} ${cell('Legs', legs)}
          ${cell('Readable between nodes', `${readable} of ${requests}`)}
          ${cell('Way seen', `${split} of ${requests}`)}
        </tr>`,
    )}
  </section>`;
}

function figures(summary: CellSummary): Markup {
  const title = cellTitle(summary.cell);
  const columns = isLatency(summary.cell) ? LATENCY_COLUMNS : ['Mode', 'Per second', '95 %'];
  return html`<details class="rules figures">
    <summary>${title}</summary>
    ${framedTable(
      {
        label: title,
        className: 'cards',
        columns: [...columns, workText(summary), 'Memory', 'Generator’s CPU'],
        rows: summary.modes,
        unit: 'modes',
      },
      (row) =>
        html`<tr>
          <th scope="row">${titleOf(row.mode)}</th>
          ${row.latency ? latencyCells(row) : rateCells(summary, row)}
          ${cell(workText(summary), withInterval(row.proxyCpuMs, cpuText))}
          ${cell('Memory', memoryText(row.proxyPeakBytes.median))}
          ${cell('Generator’s CPU', `${row.clientShare.toFixed(2)} of what it measured`)}
        </tr>`,
    )}
  </details>`;
}

const LATENCY_COLUMNS = [
  ...['Mode', 'p50', 'p90', 'p99', 'p99.9', 'Most', 'p50 more than no mesh', 'p99 more'],
  'As a closed loop sees p50, p99',
];

function latencyCells({ latency, added }: ModeSummary): Markup {
  const { p50Us, p90Us, p99Us, p999Us, maxUs, sentP50Us, sentP99Us } = latency!;
  return html`${cell('p50', withInterval(p50Us, timeText))}
  ${cell('p90', withInterval(p90Us, timeText))} ${cell('p99', withInterval(p99Us, timeText))}
  ${cell('p99.9', timeText(p999Us))} ${cell('Most', timeText(maxUs))}
  ${cell('p50 more than no mesh', added?.p50Us ? addedText(added.p50Us) : '–')}
  ${cell('p99 more', added?.p99Us ? addedText(added.p99Us) : '–')}
  ${cell('As a closed loop sees p50, p99', `${timeText(sentP50Us)}, ${timeText(sentP99Us)}`)}`;
}

function rateCells(summary: CellSummary, { perSecond }: ModeSummary): Markup {
  const text = (value: number): string => rateText(summary, value);
  return html`${cell('Per second', text(perSecond.median))}
  ${cell('95 %', intervalText(perSecond, text))}`;
}

function withInterval(interval: ModeSummary['perSecond'], text: (value: number) => string): string {
  if (interval.median === 0 && interval.high === 0) return '–';
  return `${text(interval.median)} (${intervalText(interval, text)})`;
}

function cell(name: string, value: string | number): Markup {
  return html`<td data-label="${name}">${value}</td>`;
}
