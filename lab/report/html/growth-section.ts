import type { GrowthRow } from '../../bench/growth/growth.ts';
import { type ModeName, titleOf } from '../../bench/mesh/modes.ts';
import { GROWTH_ABOUT, GROWTH_COLUMNS } from '../growth.ts';
import { formatBytes } from '../text.ts';
import type { Chart } from './bench-charts.ts';
import { logAxis } from './charts/axis.ts';
import { type Line, plot } from './charts/plot.ts';
import { sampleOf, seriesClass } from './charts/series.ts';
import { html, type Markup } from './markup.ts';
import { framedTable } from './table.ts';

/** How configuration grows with a mesh: two charts, and the figures. */
export function growthSection(
  rows: readonly GrowthRow[],
  chartBox: (chart: Chart) => Markup,
): Markup {
  return html`<section aria-labelledby="growth-title">
    <h2 id="growth-title">Configuration as a mesh grows</h2>
    <p class="mode-legend">
      ${SERIES.map(({ mode }) => html`<span class="${seriesClass(mode)}">${sampleOf(mode)}${titleOf(mode)}</span> `)}
    </p>
    <div class="charts">${growthCharts(rows).map(chartBox)}</div>
    ${framedTable(
      {
        label: 'Configuration as a mesh grows',
        className: 'cards',
        columns: GROWTH_COLUMNS.map(({ title }) => title),
        rows,
        unit: 'sizes',
      },
      (row) =>
        html`<tr>
          ${GROWTH_COLUMNS.map(({ title, text }) => html`<td data-label="${title}">${text(row)}</td>`)}
        </tr>`,
    )}
    <p>${GROWTH_ABOUT}</p>
  </section>`;
}

interface Series {
  readonly mode: ModeName;
  readonly count: (row: GrowthRow) => GrowthRow['ztunnels'];
}

const SERIES: readonly Series[] = [
  { mode: 'inpod-redirect', count: ({ ztunnels }) => ztunnels },
  { mode: 'sidecar', count: ({ sidecars }) => sidecars },
];

function growthCharts(rows: readonly GrowthRow[]): readonly Chart[] {
  return [
    chartOf(rows, 'Configuration of one proxy', ({ bytesOfOne }) => bytesOfOne),
    chartOf(rows, 'Configuration of all proxies', ({ bytes }) => bytes),
  ];
}

function chartOf(
  rows: readonly GrowthRow[],
  title: string,
  bytesOf: (count: GrowthRow['ztunnels']) => number,
): Chart {
  const lines = SERIES.map(({ mode, count }): Line => ({
    mode,
    points: rows.map((row) => {
      const y = bytesOf(count(row));
      const words = `${titleOf(mode)}, ${row.pods} pods: ${formatBytes(y)}`;
      return { x: row.pods, y, words };
    }),
  }));
  const ends = lines.flatMap(({ points }) => points.map(({ y }) => y));
  const pods = rows.map((row) => row.pods);
  const figure = (value: number): string => value.toLocaleString('en');
  return {
    title,
    about: 'Bytes by pods of the mesh, both logarithmic: a steeper line grows with a higher power.',
    drawing: plot({
      title,
      x: logAxis('pods', Math.min(...pods), Math.max(...pods), figure),
      y: logAxis('', Math.min(...ends), Math.max(...ends), formatBytes),
      lines,
    }),
  };
}
