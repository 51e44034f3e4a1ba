import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  visit,
  type Document,
  type Node,
  type ScalarTag,
  type CollectionTag,
} from 'yaml';
import type { TopologyFault } from './errors.ts';
import { findExcess, TOO_DEEP } from './excess.ts';

/** Larger files are refused: a cluster's worth of manifests is far smaller. */
export const MAX_SOURCE_BYTES = 1024 * 1024;
/** Aliases may not multiply a document beyond this many nodes (the billion laughs). */
const MAX_ALIASES = 100;

/** A text that is no YAML at all gives a fault a line; nobody reads more than these. */
const MAX_PROBLEMS = 20;

export type Path = readonly (string | number)[];

/** Whether to point at a value or at the key it stands under. */
export type Spot = 'key' | 'value';

/** One YAML document: plain data, and where each part of it is. */
export interface SourceDocument {
  readonly value: unknown;
  /** Fault at a path; the nearest part that exists when the path itself does not. */
  readonly fault: (path: Path, message: string, options?: FaultOptions) => TopologyFault;
}

export interface FaultOptions {
  readonly spot?: Spot;
  readonly suggestion?: string;
}

export interface Source {
  readonly documents: readonly SourceDocument[];
  readonly faults: readonly TopologyFault[];
}

/**
 * Documents of a YAML text with positions. Syntax errors, duplicate keys, unknown tags and
 * documents that grow by aliases come back as faults, never as exceptions.
 */
export function parseSource(text: string, file: string): Source {
  const lines = new LineCounter();
  const at = (offset: number, path: Path, message: string, suggestion?: string): TopologyFault => {
    const { line, col } = lines.linePos(offset);
    const place = { file, line: Math.max(line, 1), column: Math.max(col, 1), path: path.join('.') };
    return { ...place, message, ...(suggestion === undefined ? {} : { suggestion }) };
  };
  if (Buffer.byteLength(text) > MAX_SOURCE_BYTES) {
    const message = `Cannot read "${file}": larger than ${MAX_SOURCE_BYTES} bytes`;
    return { documents: [], faults: [at(0, [], message)] };
  }
  const excess = findExcess(text);
  if (excess) return { documents: [], faults: [at(excess.offset, [], excess.message)] };
  const parsed = parseBounded(text, lines);
  if (typeof parsed === 'string') return { documents: [], faults: [at(0, [], parsed)] };
  const faults: TopologyFault[] = [];
  const documents: SourceDocument[] = [];
  for (const document of parsed) {
    const problems = [...document.errors, ...document.warnings];
    const tooDeep = problems.find(({ message }) => message.includes('call stack'));
    if (tooDeep) return { documents: [], faults: [at(tooDeep.pos[0], [], TOO_DEEP)] };
    for (const problem of problems.slice(0, MAX_PROBLEMS)) {
      faults.push(at(problem.pos[0], [], sentence(problem.message)));
    }
    const duplicates = duplicateKeys(document).slice(0, MAX_PROBLEMS);
    faults.push(
      ...duplicates.map(([key, offset]) => at(offset, [], `Key "${key}" is given twice`)),
    );
    if (problems.length + duplicates.length > 0) continue;
    const value = toPlain(document);
    if (typeof value === 'string') {
      faults.push(at(document.range?.[0] ?? 0, [], value));
      continue;
    }
    documents.push({
      value: value.value,
      fault: (path, message, { spot = 'value', suggestion } = {}) =>
        at(offsetOf(document, path, spot), path, message, suggestion),
    });
  }
  return { documents, faults };
}

/** Data-carrying enums of ztunnel's file (serde_yaml): `!Exact x` becomes `{ tag, value }`. */
const CUSTOM_TAGS: (ScalarTag | CollectionTag)[] = [
  ...['Exact', 'Prefix', 'Suffix', 'Presence'].map((tag): ScalarTag => ({
    tag: `!${tag}`,
    resolve: (value) => ({ tag, value }),
  })),
  { tag: '!Presence', collection: 'seq', resolve: () => ({ tag: 'Presence', value: null }) },
];

function parseBounded(text: string, lineCounter: LineCounter): Document.Parsed[] | string {
  try {
    // The parser compares each key with each; `duplicateKeys()` does not.
    const options = {
      lineCounter,
      prettyErrors: false,
      uniqueKeys: false,
      stringKeys: true,
      customTags: CUSTOM_TAGS,
    };
    const documents = parseAllDocuments(text, options);
    return Array.isArray(documents) ? documents : [];
  } catch (error) {
    // The parser is recursive: brackets nested ten thousand deep exhaust the stack.
    if (error instanceof RangeError) return TOO_DEEP;
    return `Cannot parse: ${(error as Error).message}`;
  }
}

function toPlain(document: Document.Parsed): { readonly value: unknown } | string {
  try {
    return { value: document.toJS({ maxAliasCount: MAX_ALIASES }) };
  } catch (error) {
    if (error instanceof RangeError) return TOO_DEEP;
    return sentence((error as Error).message);
  }
}

function offsetOf(document: Document.Parsed, path: Path, spot: Spot): number {
  let node: Node | null = document.contents;
  let keyOffset = 0;
  for (const part of path) {
    const target = isAlias(node) ? node.resolve(document) : node;
    let next: unknown;
    if (isMap(target)) {
      const pair = target.items.find(({ key }) => keyText(key) === String(part));
      if (!pair) break;
      keyOffset = startOf(pair.key) ?? keyOffset;
      next = pair.value;
    } else if (isSeq(target)) {
      next = target.items[Number(part)];
      keyOffset = startOf(next) ?? keyOffset;
    }
    if (next === undefined) break;
    node = isNode(next) ? next : null;
    if (node === null) return keyOffset;
  }
  return spot === 'key' ? keyOffset : (startOf(node) ?? keyOffset);
}

function keyText(key: unknown): string | undefined {
  return isScalar(key) ? String(key.value) : undefined;
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

/** Keys that a mapping holds already, and where they stand again. */
function duplicateKeys(document: Document.Parsed): [string, number][] {
  const found: [string, number][] = [];
  visit(document, {
    Map(_, map) {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        const text = keyText(key);
        if (text === undefined) continue;
        if (seen.has(text)) found.push([text, startOf(key) ?? 0]);
        seen.add(text);
      }
    },
  });
  return found;
}

/** First line of the parser's message, in the house's form. */
function sentence(message: string): string {
  const line = message.split('\n')[0] ?? message;
  return line.charAt(0).toUpperCase() + line.slice(1).replace(/[.:]$/, '');
}
