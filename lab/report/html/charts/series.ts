import { MODE_NAMES, type ModeName, titleOf } from '../../../bench/mesh/modes.ts';
import { html, type Markup } from '../markup.ts';

const SIZE = 5;

/** A sign of its own for each mode, so that colour never tells alone. */
const SHAPES: Readonly<Record<ModeName, string>> = {
  none: circle(),
  geneve: polygon([0, -1.2], [1.1, 0.8], [-1.1, 0.8]),
  'inpod-tproxy': polygon([0, 1.2], [1.1, -0.8], [-1.1, -0.8]),
  'inpod-redirect': polygon([-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]),
  'inpod-nft': polygon([0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]),
  sidecar: cross(),
  ztunnel: polygon([-0.6, -1.1], [0.6, -1.1], [1.2, 0], [0.6, 1.1], [-0.6, 1.1], [-1.2, 0]),
};

type Corner = readonly [x: number, y: number];

function polygon(...corners: readonly Corner[]): string {
  const [first = [0, 0], ...rest] = corners.map(([x, y]) => [x * SIZE, y * SIZE]);
  return `M${first.join(' ')}${rest.map((corner) => `L${corner.join(' ')}`).join('')}Z`;
}

function circle(): string {
  return `M${-SIZE} 0a${SIZE} ${SIZE} 0 1 0 ${2 * SIZE} 0a${SIZE} ${SIZE} 0 1 0 ${-2 * SIZE} 0Z`;
}

function cross(): string {
  const [inner, outer] = [0.4, 1.2];
  return polygon(
    ...([
      [inner, inner],
      [inner, outer],
      [-inner, outer],
      [-inner, inner],
      [-outer, inner],
      [-outer, -inner],
      [-inner, -inner],
      [-inner, -outer],
      [inner, -outer],
      [inner, -inner],
      [outer, -inner],
      [outer, inner],
    ] as const),
  );
}

/** Class of everything that belongs to a mode: its colour, its line, and whether it is shown. */
export function seriesClass(mode: ModeName): string {
  return `series mode-${mode}`;
}

/** The sign of a mode at a place of a chart, with words for who points at it. */
export function marker(mode: ModeName, x: number, y: number, words?: string): Markup {
  return html`<path
    class="marker"
    d="${SHAPES[mode]}"
    transform="translate(${rounded(x)} ${rounded(y)})"
    >${words !== undefined && html`<title>${words}</title>`}</path
  >`;
}

/** Signs and names of modes, each with a box that takes it out of all charts. */
export function modeLegend(modes: readonly ModeName[]): Markup {
  const shown = MODE_NAMES.filter((mode) => modes.includes(mode));
  return html`<fieldset class="mode-legend">
    <legend>Modes in the charts</legend>
    ${shown.map(
      (mode) =>
        html`<label class="${seriesClass(mode)}"
          ><input
            type="checkbox"
            id="show-${mode}"
            checked
          />${sampleOf(mode)}${titleOf(mode)}</label
        >`,
    )}
  </fieldset>`;
}

/** A piece of a mode's line, for legends; it stands in an element of the mode's class. */
export function sampleOf(mode: ModeName): Markup {
  return html`<svg class="sample" viewBox="-16 -9 32 18" aria-hidden="true">
    <path class="line" d="M-16 0H16" />
    ${marker(mode, 0, 0)}
  </svg>`;
}

/** A coordinate with one digit behind the point, which is finer than any screen. */
export function rounded(value: number): string {
  return String(Math.round(value * 10) / 10);
}
