import type { FrameRef, Outcome } from '../../judge/verdict.ts';
import { runsOf } from '../text.ts';
import { html, type Markup } from './markup.ts';

/** Frames listed of one file before the rest is counted. */
const MOST_FRAMES = 12;
/** Files listed of one check. */
const MOST_FILES = 8;

/** An outcome as sign and word: the colour only repeats them. */
export function outcomeBadge(outcome: Outcome, withWord = true): Markup {
  const icon = outcome === 'holds' ? 'yes' : outcome === 'refuted' ? 'no' : 'unknown';
  return html`<span class="outcome ${icon}"
    ><svg class="icon" aria-hidden="true"><use href="#icon-${icon}" /></svg
    ><span class="${withWord ? 'word' : 'hidden'}">${outcome}</span></span
  >`;
}

/** Every frame a check rests on: file by file, bounded. */
export function frameList(refs: readonly FrameRef[]): Markup | undefined {
  if (refs.length === 0) return undefined;
  const shown = refs.slice(0, MOST_FILES);
  const more = refs.length - shown.length;
  return html`<ul class="frames">
    ${shown.map(
      ({ file, frames }) =>
        html`<li><code>${file}</code> <span>${frameNumbers(frames)}</span></li>`,
    )}
    ${more > 0 && html`<li>and ${more} more files</li>`}
  </ul>`;
}

/** `#1–4, 7 +3 more`: runs of numbers are drawn together. */
export function frameNumbers(frames: readonly number[]): string {
  const texts = runsOf(frames);
  const shown = texts.slice(0, MOST_FRAMES);
  const more = texts.length - shown.length;
  return `#${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
