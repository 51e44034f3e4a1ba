import { type LineCounter, type Node, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml';

interface Line {
  readonly indent: number;
  readonly text: string;
  /** Of the first character of `text` in the whole. */
  readonly offset: number;
}

/** Thrown at the first thing that is not plain. */
class NotPlain extends Error {
  override readonly name = 'NotPlain';
}

const ENTRY = /^([A-Za-z0-9_/][\w./-]*):(?: (\S.*))?$/;
/** Text that YAML 1.2 reads as itself: no word or number of its own begins with a letter but these. */
const PLAIN = /^[A-Za-z_/](?:[\w./:-]*[\w./-])?$/;
const WORDS = /^(?:null|true|false)$/i;
const ADDRESS = /^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?:\/\d{1,2})?$/;
const NUMBER = /^(?:0|[1-9]\d{0,8})$/;

/**
 * Reads YAML that is nothing but block mappings, block lists and plain scalars, as tools write it,
 * into the same nodes as the library does, in a tenth of the time. `lines` gets to know the lines.
 *
 * @returns undefined when there is anything else in it: the library must read it then
 */
export function parsePlainYaml(text: string, lines: LineCounter): Node | undefined {
  try {
    const reader = new Reader(splitLines(text, lines));
    return reader.document();
  } catch (error) {
    if (error instanceof NotPlain) return undefined;
    throw error;
  }
}

function splitLines(text: string, counter: LineCounter): Line[] {
  const lines: Line[] = [];
  for (let at = 0; at < text.length;) {
    counter.addNewLine(at);
    const found = text.indexOf('\n', at);
    const end = found === -1 ? text.length : found;
    let start = at;
    while (start < end && text.charCodeAt(start) === 32) start += 1;
    if (start < end && text[start] !== '#') {
      lines.push({ indent: start - at, text: text.slice(start, end), offset: start });
    }
    at = end + 1;
  }
  return lines;
}

class Reader {
  readonly #lines: Line[];
  #at = 0;

  constructor(lines: Line[]) {
    this.#lines = lines;
  }

  document(): Node {
    const first = this.#lines[0];
    if (first === undefined || first.indent !== 0) throw new NotPlain();
    const node = this.#block(0);
    if (this.#at < this.#lines.length) throw new NotPlain();
    return node;
  }

  #block(indent: number): Node {
    return this.#lines[this.#at]!.text.startsWith('- ') ? this.#list(indent) : this.#map(indent);
  }

  #list(indent: number): YAMLSeq {
    const list = new YAMLSeq();
    const { offset } = this.#lines[this.#at]!;
    for (let line = this.#own(indent); line !== undefined; line = this.#own(indent)) {
      if (!line.text.startsWith('- ')) throw new NotPlain();
      // What is behind the dash is a line of its own, as far in as it stands.
      const rest = { indent: indent + 2, text: line.text.slice(2), offset: line.offset + 2 };
      this.#lines[this.#at] = rest;
      if (rest.text.startsWith(' ')) throw new NotPlain();
      if (ENTRY.test(rest.text)) list.items.push(this.#map(rest.indent));
      else {
        list.items.push(scalarOf(rest.text, rest.offset));
        this.#at += 1;
      }
    }
    return placed(list, offset);
  }

  #map(indent: number): YAMLMap {
    const map = new YAMLMap();
    const { offset } = this.#lines[this.#at]!;
    for (let line = this.#own(indent); line !== undefined; line = this.#own(indent)) {
      const [, key = '', value] = ENTRY.exec(line.text) ?? [];
      if (key === '') throw new NotPlain();
      this.#at += 1;
      const name = scalarOf(key, line.offset);
      if (value !== undefined) {
        const inner = scalarOf(value, line.offset + line.text.length - value.length);
        map.items.push(new Pair(name, inner));
        continue;
      }
      const next = this.#lines[this.#at];
      if (next === undefined || next.indent <= indent) throw new NotPlain();
      map.items.push(new Pair(name, this.#block(next.indent)));
    }
    return placed(map, offset);
  }

  /** The next line if it is as far in; undefined when the block ends before it. */
  #own(indent: number): Line | undefined {
    const line = this.#lines[this.#at];
    if (line === undefined || line.indent < indent) return undefined;
    if (line.indent > indent) throw new NotPlain();
    return line;
  }
}

function scalarOf(text: string, offset: number): Node {
  if (text === '{}') return placed(new YAMLMap(), offset);
  if (text === '[]') return placed(new YAMLSeq(), offset);
  return placed(new Scalar(valueOf(text)), offset);
}

function valueOf(text: string): string | number | boolean {
  if (text === '""') return '';
  if (text === 'true' || text === 'false') return text === 'true';
  if (NUMBER.test(text)) return Number(text);
  if (ADDRESS.test(text) || (PLAIN.test(text) && !WORDS.test(text))) return text;
  throw new NotPlain();
}

function placed<T extends Node>(node: T, offset: number): T {
  node.range = [offset, offset, offset];
  return node;
}
