/** Text that is HTML already; nothing else gets into a page unescaped. */
export interface Markup {
  readonly kind: 'markup';
  readonly text: string;
}

type Piece = Markup | string | number | undefined | false | readonly Piece[];

/**
 * A template whose values are escaped unless they are markup themselves; lists are joined, nothing
 * stands for `undefined` and `false`. Attribute values must stand in double quotes.
 */
export function html(strings: TemplateStringsArray, ...pieces: readonly Piece[]): Markup {
  const texts = strings.map((text, index) => text + textOf(pieces[index]));
  return { kind: 'markup', text: texts.join('') };
}

/** Text of our own making (styles, scripts) as it is. Never for data. */
export function trusted(text: string): Markup {
  return { kind: 'markup', text };
}

/** JSON for a `<script type="application/json">`: no text in it can end the element. */
export function jsonMarkup(value: unknown): Markup {
  const text = JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
  return { kind: 'markup', text };
}

function textOf(piece: Piece): string {
  if (piece === undefined || piece === false) return '';
  if (typeof piece === 'string') return escapeHtml(piece);
  if (typeof piece === 'number') return String(piece);
  if (isList(piece)) return piece.map(textOf).join('');
  return piece.text;
}

function isList(piece: Markup | readonly Piece[]): piece is readonly Piece[] {
  return Array.isArray(piece);
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Controls that HTML forbids become U+FFFD, so that bytes from a capture cannot break a page. */
function escapeHtml(text: string): string {
  return text
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, '\ufffd')
    .replaceAll(/[&<>"']/g, (sign) => ENTITIES[sign] ?? sign);
}
