import type { ModeName } from '../../../bench/mesh/modes.ts';
import { html, type Markup } from '../markup.ts';
import type { Axis } from './axis.ts';
import { marker, rounded, seriesClass } from './series.ts';

/** A point of a line; `low` and `high` are ends of its interval, in the units of the axis. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
  readonly words: string;
}

export interface Line {
  readonly mode: ModeName;
  readonly points: readonly Point[];
  /** A curve of many points has its sign only here and there. */
  readonly isCurve?: boolean;
}

export interface PlotInput {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
}

const WIDTH = 460;
const HEIGHT = 300;
const LEFT = 74;
const RIGHT = 14;
const TOP = 14;
const BOTTOM = 48;
const CURVE_SIGNS = 6;
const CAP = 4;
/** Intervals of neighbours at one place must not hide each other. */
const SHIFT = 6;

/** Lines over two axes, as one drawing with a name for who cannot see it. */
export function plot({ title, x, y, lines }: PlotInput): Markup {
  const across = (value: number): number => LEFT + x.place(value) * (WIDTH - LEFT - RIGHT);
  const up = (value: number): number => HEIGHT - BOTTOM - y.place(value) * (HEIGHT - TOP - BOTTOM);
  return html`<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
    ${y.ticks.map(({ at, label }) => {
      const height = HEIGHT - BOTTOM - at * (HEIGHT - TOP - BOTTOM);
      return html`<path class="rule" d="M${LEFT} ${rounded(height)}H${WIDTH - RIGHT}" /><text
          class="tick end"
          x="${LEFT - 7}"
          y="${rounded(height + 4.5)}"
          >${label}</text
        >`;
    })}
    ${x.ticks.map(({ at, label }) => {
      const place = LEFT + at * (WIDTH - LEFT - RIGHT);
      return html`<text class="tick middle" x="${rounded(place)}" y="${HEIGHT - BOTTOM + 18}"
        >${label}</text
      >`;
    })}
    <text class="axis middle" x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}">${x.title}</text>
    ${lines.map((line, index) => {
      const shift = line.isCurve ? 0 : (index - (lines.length - 1) / 2) * SHIFT;
      return drawLine(line, (value) => across(value) + shift, up);
    })}
  </svg>`;
}

function drawLine(
  { mode, points, isCurve }: Line,
  across: (value: number) => number,
  up: (value: number) => number,
): Markup {
  const way = points
    .map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${rounded(across(x))} ${rounded(up(y))}`)
    .join('');
  const every = isCurve ? Math.max(1, Math.ceil(points.length / CURVE_SIGNS)) : 1;
  const isSigned = (index: number): boolean => index % every === Math.floor(every / 2);
  return html`<g class="${seriesClass(mode)}">
    <path class="line" d="${way}" />
    ${points.map(({ x, low, high }) =>
      low === undefined || high === undefined ? undefined : whisker(across(x), up(low), up(high)),
    )}
    ${points.map(
      ({ x, y, words }, index) => isSigned(index) && marker(mode, across(x), up(y), words),
    )}
  </g>`;
}

function whisker(x: number, low: number, high: number): Markup {
  const [left, right] = [rounded(x - CAP), rounded(x + CAP)];
  const [bottom, top] = [rounded(low), rounded(high)];
  const at = rounded(x);
  return html`<path
    class="whisker"
    d="M${at} ${bottom}V${top}M${left} ${bottom}H${right}M${left} ${top}H${right}"
  />`;
}
