import { type ModeName, titleOf } from '../../../bench/mesh/modes.ts';
import { html, type Markup } from '../markup.ts';
import type { Axis } from './axis.ts';
import { marker, rounded, seriesClass } from './series.ts';

/** One part of a bar. With an index it has that pattern, else the colour of its mode. */
export interface BarPart {
  readonly value: number;
  readonly pattern?: number;
  readonly words: string;
}

export interface Bar {
  readonly mode: ModeName;
  readonly parts: readonly BarPart[];
  readonly low?: number;
  readonly high?: number;
  /** What stands behind the bar. */
  readonly label: string;
}

export interface BarsInput {
  readonly title: string;
  readonly axis: Axis;
  readonly bars: readonly Bar[];
}

const WIDTH = 460;
const SIDE = 6;
/** A name and a bar below it: names are long, and telephones narrow. */
const ROW = 46;
const BAR_TOP = 20;
const BAR_HEIGHT = 18;
const LABEL_ROOM = 96;
const FOOT = 42;
const CAP = 4;

/** Bars beside the names of modes, from zero; none where a mode has nothing of it. */
export function bars({ title, axis, bars: all }: BarsInput): Markup {
  const height = all.length * ROW + FOOT;
  const room = WIDTH - 2 * SIDE - LABEL_ROOM;
  const across = (value: number): number => SIDE + axis.place(value) * room;
  return html`<svg class="chart" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}">
    ${axis.ticks.map(({ at, label }) => {
      const x = rounded(SIDE + at * room);
      return html`<path class="rule" d="M${x} 0V${height - FOOT}" /><text
          class="tick ${at === 0 ? 'start' : 'middle'}"
          x="${x}"
          y="${height - FOOT + 16}"
          >${label}</text
        >`;
    })}
    <text class="axis start" x="${SIDE}" y="${height - 8}">${axis.title}</text>
    ${all.map((bar, index) => drawBar(bar, index * ROW, across))}
  </svg>`;
}

function drawBar(bar: Bar, top: number, across: (value: number) => number): Markup {
  const { mode, parts, low, high, label } = bar;
  let from = 0;
  const drawn = parts.map(({ value, pattern, words }) => {
    const [left, right] = [across(from), across(from + value)];
    from += value;
    const isPart = pattern !== undefined;
    return html`<rect
      class="${isPart ? 'part' : 'fill'}"
      ${isPart && html`fill="url(#part-${pattern})"`}
      x="${rounded(left)}"
      y="${top + BAR_TOP}"
      width="${rounded(Math.max(0, right - left))}"
      height="${BAR_HEIGHT}"
      ><title>${words}</title></rect
    >`;
  });
  const middle = top + BAR_TOP + BAR_HEIGHT / 2;
  const end = across(Math.max(from, high ?? 0));
  return html`<g class="${seriesClass(mode)}">
    ${marker(mode, 12, top + 10)}<text class="name" x="24" y="${top + 14.5}">${titleOf(mode)}</text>
    ${drawn}
    ${low !== undefined && high !== undefined && high > 0 && whisker(across(low), across(high), middle)}
    <text class="value" x="${rounded(end + 7)}" y="${rounded(middle + 4.5)}">${label}</text>
  </g>`;
}

function whisker(left: number, right: number, y: number): Markup {
  const [from, to] = [rounded(left), rounded(right)];
  return html`<path
    class="whisker"
    d="M${from} ${y}H${to}M${from} ${y - CAP}V${y + CAP}M${to} ${y - CAP}V${y + CAP}"
  />`;
}
