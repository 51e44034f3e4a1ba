import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { parsePlainYaml } from './plain-yaml.ts';
import { StaticFileError, type TextPosition } from './static-file-error.ts';

/** A mesh of 50,000 workloads; the parser's tree takes some sixty times the text. */
const MAX_TEXT_CHARACTERS = 32 * 1024 * 1024;

/** A value of a YAML document with its place, read strictly: each fault names line and column. */
export class YamlValue {
  readonly file: string;
  readonly path: string;
  readonly #node: Node | null;
  readonly #lines: LineCounter;
  readonly #offset: number;

  constructor(file: string, path: string, node: Node | null, lines: LineCounter, offset: number) {
    this.file = file;
    this.path = path;
    this.#node = node;
    this.#lines = lines;
    this.#offset = node?.range?.[0] ?? offset;
  }

  /** Raises an error at this value's place. */
  fail(fault: string): never {
    throw new StaticFileError(this.file, this.#position(), `${this.path || 'document'} ${fault}`);
  }

  isNull(): boolean {
    return this.#node === null || (isScalar(this.#node) && this.#node.value === null);
  }

  /** The explicit tag without its exclamation mark (`Exact` of `!Exact x`). */
  tag(): string | undefined {
    const tag = this.#node?.tag;
    return tag?.startsWith('!') ? tag.slice(1) : undefined;
  }

  string(): string {
    const node = this.#node;
    if (isScalar(node) && typeof node.value === 'string') return node.value;
    return this.fail(`is ${this.#describe()}, a string is wanted`);
  }

  integer(min: number, max: number): number {
    const value = isScalar(this.#node) ? this.#node.value : undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) {
      return value;
    }
    return this.fail(`is ${this.#describe()}, a whole number from ${min} to ${max} is wanted`);
  }

  boolean(): boolean {
    const value = isScalar(this.#node) ? this.#node.value : undefined;
    if (typeof value === 'boolean') return value;
    return this.fail(`is ${this.#describe()}, true or false is wanted`);
  }

  choice<T extends string>(choices: readonly T[]): T {
    const value = this.string();
    const found = choices.find((choice) => choice === value);
    return found ?? this.fail(`is "${value}", one of ${choices.join(', ')} is wanted`);
  }

  list(): YamlValue[] {
    if (!isSeq(this.#node)) return this.fail(`is ${this.#describe()}, a list is wanted`);
    return this.#node.items.map((item, i) => this.#child(`${this.path}[${i}]`, item as Node));
  }

  /** Keys and values of a mapping in the order of the text. */
  entries(): (readonly [key: YamlValue, value: YamlValue])[] {
    const node = this.#node;
    if (!isMap(node)) return this.fail(`is ${this.#describe()}, a mapping is wanted`);
    const seen = new Set<string>();
    return node.items.map((pair) => {
      const key = this.#child(`key of ${this.path || 'document'}`, pair.key as Node);
      const text = key.#keyText();
      if (seen.has(text)) key.fail(`"${text}" stands here again, keys must be unique`);
      seen.add(text);
      const path = this.path ? `${this.path}.${text}` : text;
      return [key, this.#child(path, pair.value as Node | null, key.#offset)] as const;
    });
  }

  /** A mapping of known keys. Unknown keys are refused with the nearest known one. */
  fields<K extends string>(known: readonly K[]): Partial<Record<K, YamlValue>> {
    const found: Partial<Record<K, YamlValue>> = {};
    for (const [key, value] of this.entries()) {
      const name = key.#keyText();
      const match = known.find((candidate) => candidate === name);
      if (match === undefined) key.fail(`"${name}" is unknown${suggestion(name, known)}`);
      else found[match] = value;
    }
    return found;
  }

  /** The value of a key that must be there. */
  required<K extends string>(fields: Partial<Record<K, YamlValue>>, key: K): YamlValue {
    return fields[key] ?? this.fail(`lacks the key "${key}"`);
  }

  #keyText(): string {
    return isScalar(this.#node) ? String(this.#node.value) : this.fail('is no plain key');
  }

  #child(path: string, node: Node | null, offset = this.#offset): YamlValue {
    const child = new YamlValue(this.file, path, node, this.#lines, offset);
    return isAlias(node) ? child.fail('is an alias, aliases are not supported') : child;
  }

  #position(): TextPosition {
    const { line, col } = this.#lines.linePos(this.#offset);
    return { line, column: col };
  }

  #describe(): string {
    const node = this.#node;
    if (isMap(node)) return 'a mapping';
    if (isSeq(node)) return 'a list';
    return isScalar(node) ? JSON.stringify(node.value) : 'empty';
  }
}

/** Parses one YAML document without merge keys or aliases. @throws StaticFileError with the place. */
export function parseYaml(file: string, text: string): YamlValue {
  const plainLines = new LineCounter();
  const plain = text.length > MAX_TEXT_CHARACTERS ? undefined : parsePlainYaml(text, plainLines);
  if (plain !== undefined) return new YamlValue(file, '', plain, plainLines, 0);
  const lines = new LineCounter();
  const document = parseText(file, text, lines);
  const fault = document.errors[0];
  if (fault) {
    const { line, col } = lines.linePos(fault.pos[0]);
    throw new StaticFileError(file, { line, column: col }, fault.message, fault);
  }
  return new YamlValue(file, '', document.contents, lines, 0);
}

function parseText(
  file: string,
  text: string,
  lines: LineCounter,
): ReturnType<typeof parseDocument> {
  if (text.length > MAX_TEXT_CHARACTERS) {
    const fault = `it has ${text.length} characters, at most ${MAX_TEXT_CHARACTERS} are read`;
    throw new StaticFileError(file, undefined, fault);
  }
  try {
    // The parser's own search for keys that stand twice compares each with each: `entries()` does not.
    const options = { lineCounter: lines, prettyErrors: false, uniqueKeys: false };
    return parseDocument(text, options);
  } catch (cause) {
    // The parser recurses: thousands of open brackets end in a RangeError.
    const fault = cause instanceof Error ? cause.message : String(cause);
    throw new StaticFileError(file, undefined, fault, cause);
  }
}

function suggestion(name: string, known: readonly string[]): string {
  let best: { name: string; distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (!best || distance < best.distance) best = { name: candidate, distance };
  }
  const isNear = best && best.distance <= Math.max(2, Math.floor(best.name.length / 3));
  return best && isNear ? `, did you mean "${best.name}"?` : `, known: ${known.join(', ')}`;
}

function editDistance(a: string, b: string): number {
  if (a.length > 64) return Infinity;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? Infinity;
}
