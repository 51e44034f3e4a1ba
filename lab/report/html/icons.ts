import { html, type Markup } from './markup.ts';

/** Signs used all over a page; drawn, since not every machine has a font with them. */
export function icons(): Markup {
  return html`<svg class="hidden" aria-hidden="true" focusable="false">
    <symbol id="icon-yes" viewBox="0 0 16 16">
      <circle cx="8" cy="8" r="7" class="disc" />
      <path d="M4.5 8.5 L7 11 L11.5 5.5" class="sign" />
    </symbol>
    <symbol id="icon-no" viewBox="0 0 16 16">
      <path d="M5 1 H11 L15 5 V11 L11 15 H5 L1 11 V5 Z" class="disc" />
      <path d="M5.3 5.3 L10.7 10.7 M10.7 5.3 L5.3 10.7" class="sign" />
    </symbol>
    <symbol id="icon-unknown" viewBox="0 0 16 16">
      <path d="M8 1 L15 14.5 H1 Z" class="disc" />
      <path d="M8 6 V10 M8 12 V12.6" class="sign" />
    </symbol>
    <symbol id="icon-node" viewBox="0 0 20 20">
      <path d="M2 3 H18 V9 H2 Z M2 11 H18 V17 H2 Z M5 6 H8 M5 14 H8" class="line" />
    </symbol>
    <symbol id="icon-lock" viewBox="0 0 16 16">
      <path d="M3 7 H13 V15 H3 Z" class="fill" />
      <path d="M5 7 V4.5 A3 3 0 0 1 11 4.5 V7" class="line" />
    </symbol>
    <symbol id="icon-play" viewBox="0 0 16 16"><path d="M4 2 L14 8 L4 14 Z" class="fill" /></symbol>
    <symbol id="icon-pause" viewBox="0 0 16 16">
      <path d="M3 2 H6.5 V14 H3 Z M9.5 2 H13 V14 H9.5 Z" class="fill" />
    </symbol>
    <symbol id="icon-next" viewBox="0 0 16 16">
      <path d="M3 2 L10 8 L3 14 Z M11 2 H13.5 V14 H11 Z" class="fill" />
    </symbol>
    <symbol id="icon-back" viewBox="0 0 16 16">
      <path d="M13 2 L6 8 L13 14 Z M2.5 2 H5 V14 H2.5 Z" class="fill" />
    </symbol>
    <symbol id="icon-first" viewBox="0 0 16 16">
      <path d="M15 2 L9 8 L15 14 Z M9 2 L3 8 L9 14 Z M1 2 H2.6 V14 H1 Z" class="fill" />
    </symbol>
    <symbol id="icon-last" viewBox="0 0 16 16">
      <path d="M1 2 L7 8 L1 14 Z M7 2 L13 8 L7 14 Z M13.4 2 H15 V14 H13.4 Z" class="fill" />
    </symbol>
  </svg>`;
}
