import { type Part, PARTS } from '../../../bench/budget/split-request.ts';
import { PART_WORDS } from '../../bench-words.ts';
import { html, type Markup } from '../markup.ts';

/** What is drawn over the colour of each part: without colours they differ all the same. */
const STROKES: readonly string[] = [
  '',
  'M0 8L8 0',
  'M0 4H8',
  'M4 0V8',
  'M0 0L8 8',
  'M0 8L8 0M0 0L8 8',
];

/** Patterns of the parts, once a page. */
export function partPatterns(): Markup {
  return html`<svg class="hidden" aria-hidden="true" focusable="false">
    <defs>
      ${STROKES.map(
        (stroke, index) =>
          html`<pattern id="part-${index}" width="8" height="8" patternUnits="userSpaceOnUse">
            <rect class="part-back-${index}" width="8" height="8" />
            <path class="part-stroke" d="${stroke}" />
          </pattern>`,
      )}
    </defs>
  </svg>`;
}

/** Index of a part's pattern. */
export function patternOf(part: Part): number {
  return PARTS.indexOf(part);
}

/** What each pattern means. */
export function partKeys(): Markup {
  return html`<ul class="part-keys">
    ${PARTS.map(
      (part) =>
        html`<li>
          <svg class="part-key" viewBox="0 0 32 20" aria-hidden="true">
            <rect x="1" y="1" width="30" height="18" fill="url(#part-${patternOf(part)})" />
          </svg>
          <span><strong>${PART_WORDS[part].title}</strong>: ${PART_WORDS[part].about}</span>
        </li>`,
    )}
  </ul>`;
}
