import { relative, resolve } from 'node:path';
import { styleText } from 'node:util';

/**
 * Where a verb speaks: results on stdout and nothing else, everything for people on stderr.
 * With `--json` the result is one JSON value, without it the text that `render` makes.
 */
export interface Output {
  readonly json: boolean;
  readonly color: boolean;
  readonly width: number;
  result(value: unknown, render: () => string): void;
  note(text: string): void;
}

export function createOutput(json: boolean): Output {
  const color = process.stdout.isTTY === true && wantsStyle();
  return {
    json,
    color,
    width: Math.max(80, Math.min(process.stdout.columns ?? 120, 160)),
    result(value, render) {
      const text = json ? JSON.stringify(value, bigintAsText, 2) : render();
      process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
    },
    note(text) {
      process.stderr.write(`${text}\n`);
    },
  };
}

/** Whether the person's terminal and taste allow more than plain text (no-color.org). */
function wantsStyle(): boolean {
  return (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb';
}

/** A path as a person would type it: below the current directory without it, elsewhere whole. */
export function shortPath(path: string): string {
  const below = relative(process.cwd(), path);
  if (below === '') return '.';
  return below.startsWith('..') ? resolve(path) : below;
}

/** A word in a colour where colours are seen; the word alone carries the meaning. */
export function paint(
  color: boolean,
  style: Parameters<typeof styleText>[0],
  text: string,
): string {
  return color ? styleText(style, text, { validateStream: false }) : text;
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
