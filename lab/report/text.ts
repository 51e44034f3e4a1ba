import { styleText } from 'node:util';

/** A style that never carries meaning of its own: text without colour says the same. */
export type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan' | 'magenta';

export interface TextOptions {
  readonly color: boolean;
}

/** Styles text when colour is wanted; the caller decides by terminal and `NO_COLOR`. */
export function styled(
  text: string,
  style: Style | readonly Style[],
  options: TextOptions,
): string {
  if (!options.color || text === '') return text;
  return styleText(style as Style, text, { validateStream: false });
}

/** `0 µs`, `270 µs`, `1.5 ms`, `2.31 s`: three digits at most, unit by size. */
export function formatUs(us: number): string {
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1_000_000) return `${trimmed(us / 1000)} ms`;
  return `${trimmed(us / 1_000_000)} s`;
}

function trimmed(value: number): string {
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}

/** `83 B`, `1.2 kB`, `105 MB`: decimal units. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 1000 && unit + 1 < units.length) {
    value /= 1000;
    unit++;
  }
  return `${trimmed(value)} ${units[unit]}`;
}

/** `leg`, `legs`: with its number. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}

/** Puts `right` at the right edge of `width` columns, or two spaces after `left` when it is long. */
export function spread(left: string, right: string, width: number): string {
  if (right === '') return left;
  const gap = width - columns(left) - columns(right);
  return left + ' '.repeat(Math.max(2, gap)) + right;
}

/** Pads to a width in columns; longer text stays whole. */
export function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - columns(text)));
}

/** Columns of a terminal that text takes: escape sequences take none. */
export function columns(text: string): number {
  return [...text.replaceAll(/\u001b\[[\d;]*m/g, '')].length;
}

/** Breaks at spaces so that no line is longer than `width`; later lines are indented. */
export function wrap(text: string, width: number, indent: string): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (columns(longer) > width && line.trim() !== '') {
      lines.push(line);
      line = indent + word;
    } else line = longer;
  }
  return [...lines, line];
}

/** `1–4`, `7`: numbers that follow each other drawn together. */
export function runsOf(numbers: readonly number[]): readonly string[] {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last !== undefined && number === last[1] + 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([from, to]) => (from === to ? String(from) : `${from}–${to}`));
}
