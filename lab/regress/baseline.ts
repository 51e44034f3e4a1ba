import type { FrameRef } from '../judge/verdict.ts';

/**
 * Facts as text that two observations of the same thing have in common: what two runs may differ in
 * without meaning anything (times, ephemeral ports, stream numbers, counts of frames) is not in it.
 */
export interface Baseline {
  /** What was observed: `two-nodes.yaml, era inpod-redirect`. */
  readonly title: string;
  /** Why there is nothing to observe: an era that does not go with the topology. */
  readonly refusal?: string;
  readonly blocks: readonly BaselineBlock[];
}

/** Facts of one request, or of one conversation of a capture. */
export interface BaselineBlock {
  /** Unique in its baseline. */
  readonly name: string;
  readonly facts: readonly BaselineFact[];
}

export interface BaselineFact {
  /** What it is about: `answer`, or `leg 2 / tls` for what belongs to `leg 2`. Unique in its block. */
  readonly key: string;
  readonly value: string;
  /** Where it was seen; absent in a baseline that was read from a file. */
  readonly frames?: readonly FrameRef[];
}

/** Between the parts of a key. */
export const PART = ' / ';

const REFUSAL = 'refused: ';

/** One line a fact, blocks apart by empty lines; what {@link parseBaseline} reads. */
export function renderBaseline({ title, refusal, blocks }: Baseline): string {
  return [
    title,
    ...(refusal === undefined ? [] : [`${REFUSAL}${oneLine(refusal)}`]),
    ...blocks.flatMap(({ name, facts }) => ['', oneLine(name), ...facts.map(renderFact)]),
    '',
  ].join('\n');
}

function renderFact({ key, value }: BaselineFact): string {
  const parts = key.split(PART);
  return `${'  '.repeat(parts.length)}${parts.at(-1) ?? ''}: ${oneLine(value)}`;
}

/** Text with every stretch of white space as one space. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}

/** A file that is no baseline; line and column count from 1. */
export class BaselineError extends Error {
  override readonly name = 'BaselineError';
  readonly code = 'LAB_BAD_BASELINE';
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly hint = 'Write it anew with --update';

  constructor(file: string, line: number, column: number, reason: string) {
    super(`${file}:${line}:${column}: ${reason}`);
    this.file = file;
    this.line = line;
    this.column = column;
  }
}

/**
 * Reads what {@link renderBaseline} wrote.
 * @throws BaselineError with file, line and column
 */
export function parseBaseline(text: string, file: string): Baseline {
  const [title = '', ...lines] = text.replaceAll('\r\n', '\n').split('\n');
  if (title.trim() === '' || /[\u0000-\u0008]/.test(title)) {
    throw new BaselineError(file, 1, 1, 'the first line is no title, a baseline is wished');
  }
  const reader = new BaselineReader(file);
  lines.forEach((line, index) => reader.line(line, index + 2));
  return reader.finish(title.trim());
}

class BaselineReader {
  readonly #file: string;
  readonly #blocks: { readonly name: string; readonly facts: BaselineFact[] }[] = [];
  readonly #names = new Set<string>();
  #keys = new Set<string>();
  #group = '';
  #refusal: string | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  line(line: string, number: number): void {
    if (line.trim() === '') return;
    const depth = /^ */.exec(line)?.[0].length ?? 0;
    if (depth === 0) this.#head(line, number);
    else this.#fact(line, depth, number);
  }

  finish(title: string): Baseline {
    const refusal = this.#refusal;
    return { title, ...(refusal !== undefined && { refusal }), blocks: this.#blocks };
  }

  #head(line: string, number: number): void {
    if (number === 2 && line.startsWith(REFUSAL)) {
      this.#refusal = line.slice(REFUSAL.length).trim();
      return;
    }
    const name = line.trim();
    if (this.#names.has(name)) this.#fail(number, 1, `"${name}" stands here a second time`);
    this.#names.add(name);
    this.#keys = new Set();
    this.#group = '';
    this.#blocks.push({ name, facts: [] });
  }

  #fact(line: string, depth: number, number: number): void {
    const block = this.#blocks.at(-1);
    if (block === undefined) return this.#fail(number, 1, 'a fact without a name above it');
    if (depth !== 2 && depth !== 4) {
      return this.#fail(number, depth + 1, `${depth} spaces before a fact, 2 or 4 wished`);
    }
    const match = /^ +(.+?): (.*)$/.exec(line);
    if (match === null) return this.#fail(number, depth + 1, 'no "name: value"');
    const [, name = '', value = ''] = match;
    if (depth === 4 && this.#group === '') {
      return this.#fail(number, depth + 1, `"${name}" belongs to no fact above it`);
    }
    if (depth === 2) this.#group = name;
    const key = depth === 2 ? name : `${this.#group}${PART}${name}`;
    if (this.#keys.has(key)) this.#fail(number, depth + 1, `"${name}" stands here a second time`);
    this.#keys.add(key);
    block.facts.push({ key, value });
  }

  #fail(line: number, column: number, reason: string): void {
    throw new BaselineError(this.#file, line, column, reason);
  }
}
