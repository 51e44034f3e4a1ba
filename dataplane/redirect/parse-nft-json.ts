import { NftListingError } from './errors.ts';
import type {
  NftListedBase,
  NftListedChain,
  NftListedRule,
  NftListedSet,
  NftListedTable,
  NftListing,
} from './nft-listing.ts';

const MAX_TEXT_CHARACTERS = 64 * 1024 * 1024;
/** Expressions of the kernel are flat; text from elsewhere may be anything. */
const MAX_DEPTH = 32;

type Json = Readonly<Record<string, unknown>>;

interface OpenTable extends NftListedTable {
  readonly chains: OpenChain[];
  readonly sets: NftListedSet[];
}

interface OpenChain extends NftListedChain {
  readonly rules: NftListedRule[];
}

/**
 * What `nft -j list ruleset` prints (libnftables-json(5)), with each rule in the words of `nft list`.
 * Statements without words of their own stand as JSON.
 * @throws {NftListingError} with line and column when the text is anything else
 */
export function parseNftJson(text: string): NftListing {
  const objects = objectsOf(text);
  const places = placesOf(text);
  const tables: OpenTable[] = [];
  let number = 0;
  for (const object of objects) {
    const [kind, body] = Object.entries(object)[0] ?? [];
    if (!isObject(body)) continue;
    if (kind === 'table') addTable(tables, body);
    else if (kind === 'chain') tableOf(tables, body)?.chains.push(chainOf(body));
    else if (kind === 'set' || kind === 'map') tableOf(tables, body)?.sets.push(setOf(kind, body));
    else if (kind === 'rule') {
      const chain = tableOf(tables, body)?.chains.find(({ name }) => name === body['chain']);
      chain?.rules.push(ruleOf(body, places[number] ?? 1));
      number += 1;
    }
  }
  return { tables };
}

function objectsOf(text: string): readonly Json[] {
  if (text.length > MAX_TEXT_CHARACTERS) {
    throw new NftListingError(1, 1, `${text.length} characters, at most ${MAX_TEXT_CHARACTERS}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw syntaxError(text);
  }
  const list = isObject(value) ? value['nftables'] : undefined;
  if (Array.isArray(list)) return list.filter(isObject);
  throw new NftListingError(
    1,
    1,
    'JSON without "nftables", what "nft -j list ruleset" prints is wished',
  );
}

/** JSON.parse tells no place: the shortest beginning that is at fault by itself ends there. */
function syntaxError(text: string): NftListingError {
  let good = 0;
  let bad = text.length + 1;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (isFaulty(text.slice(0, middle))) bad = middle;
    else good = middle;
  }
  const isCut = bad > text.length;
  const at = isCut ? text.trimEnd().length : bad - 1;
  const before = text.slice(0, at).split('\n');
  const next = text.slice(at, at + 20).split('\n')[0] ?? '';
  const reason = isCut ? 'JSON that is cut off' : `no JSON from "${next}" on`;
  return new NftListingError(before.length, (before.at(-1)?.length ?? 0) + 1, reason);
}

/** Whether a text cannot become JSON by going on. */
function isFaulty(text: string): boolean {
  try {
    JSON.parse(text);
    return false;
  } catch (error) {
    const said = error instanceof Error ? error.message : '';
    const position = / position (\d+)/.exec(said)?.[1];
    // At the very end something is awaited still.
    if (position !== undefined) return Number(position) < text.length;
    return !/Unexpected end|Unterminated/.test(said);
  }
}

/** Lines on which rules begin, in order: JSON.parse does not tell. */
function placesOf(text: string): readonly number[] {
  const lines: number[] = [];
  let line = 1;
  let from = 0;
  for (const match of text.matchAll(/\{\s*"rule"\s*:/g)) {
    for (
      let at = text.indexOf('\n', from);
      at >= 0 && at < match.index;
      at = text.indexOf('\n', at + 1)
    ) {
      line += 1;
      from = at + 1;
    }
    lines.push(line);
  }
  return lines;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function addTable(tables: OpenTable[], body: Json): void {
  const family = textOf(body['family']);
  tables.push({ family, name: textOf(body['name']), line: 1, chains: [], sets: [] });
}

function tableOf(tables: readonly OpenTable[], body: Json): OpenTable | undefined {
  return tables.find(({ family, name }) => family === body['family'] && name === body['table']);
}

function chainOf(body: Json): OpenChain {
  const name = textOf(body['name']);
  if (body['hook'] === undefined) return { name, line: 1, rules: [] };
  const base: NftListedBase = {
    type: textOf(body['type']),
    hook: textOf(body['hook']),
    priority: Number(body['prio'] ?? 0),
    policy: textOf(body['policy']) || 'accept',
  };
  return { name, line: 1, rules: [], base };
}

function setOf(kind: 'set' | 'map', body: Json): NftListedSet {
  return { name: textOf(body['name']), kind, type: `type ${textOf(body['type'])}`, line: 1 };
}

function ruleOf(body: Json, line: number): NftListedRule {
  const statements = Array.isArray(body['expr']) ? body['expr'].filter(isObject) : [];
  const counter = statements.map((each) => each['counter']).find(isObject);
  const words = statements.map((each) => statementOf(each)).join(' ');
  const comment = textOf(body['comment']);
  const text = comment === '' ? words : `${words} comment "${comment}"`;
  if (counter === undefined) return { text, normal: text, line };
  const count = (key: string): bigint => {
    const value = Number(counter[key] ?? 0);
    return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : 0n;
  };
  return {
    text,
    normal: text,
    counters: { packets: count('packets'), bytes: count('bytes') },
    line,
  };
}

const OPERATORS = new Set(['&', '|', '^', '<<', '>>']);

function statementOf(statement: Json): string {
  const [kind = '', body] = Object.entries(statement)[0] ?? [];
  if (body === null) return kind;
  if (kind === 'counter') return 'counter';
  if (!isObject(body)) return JSON.stringify(statement);
  switch (kind) {
    case 'match': {
      const { op, left, right } = body;
      const isMark = hasMark(left);
      // As nft prints it: equality is not written, but behind an operation.
      const isSilent = op === 'in' || (op === '==' && !isOperation(left));
      const operator = isSilent ? '' : `${textOf(op)} `;
      return `${wordsOf(left, isMark)} ${operator}${wordsOf(right, isMark)}`;
    }
    case 'mangle':
      return `${wordsOf(body['key'])} set ${wordsOf(body['value'], hasMark(body['key']))}`;
    case 'jump':
    case 'goto':
      return `${kind} ${textOf(body['target'])}`;
    case 'redirect':
      return body['port'] === undefined ? kind : `redirect to :${wordsOf(body['port'])}`;
    case 'snat':
    case 'dnat':
      return `${kind} ${textOf(body['family'])} to ${natTarget(body)}`.replaceAll('  ', ' ');
    case 'xt':
      return `xt ${textOf(body['type'])} "${textOf(body['name'])}"`;
    default:
      return JSON.stringify(statement);
  }
}

function natTarget(body: Json): string {
  const port = body['port'] === undefined ? '' : `:${wordsOf(body['port'])}`;
  return `${wordsOf(body['addr'])}${port}`;
}

function isOperation(value: unknown): boolean {
  return isObject(value) && OPERATORS.has(Object.keys(value)[0] ?? '');
}

/** Marks are shown in hex, as nft does. */
function hasMark(value: unknown): boolean {
  if (!isObject(value)) return false;
  const [kind = '', body] = Object.entries(value)[0] ?? [];
  if (OPERATORS.has(kind) && Array.isArray(body)) return hasMark(body[0]);
  return (kind === 'meta' || kind === 'ct') && isObject(body) && body['key'] === 'mark';
}

function wordsOf(value: unknown, isHex = false, depth = 0): string {
  if (depth > MAX_DEPTH) return '…';
  if (!isObject(value)) {
    if (isHex && typeof value === 'number') return `0x${value.toString(16).padStart(8, '0')}`;
    if (!Array.isArray(value)) return textOf(value);
    return value.map((each) => wordsOf(each, isHex, depth + 1)).join(',');
  }
  const [kind = '', body] = Object.entries(value)[0] ?? [];
  const deeper = (part: unknown): string => wordsOf(part, isHex, depth + 1);
  if (OPERATORS.has(kind) && Array.isArray(body)) return body.map(deeper).join(` ${kind} `);
  if (kind === 'set' && Array.isArray(body)) return `{ ${body.map(deeper).join(', ')} }`;
  if (!isObject(body)) return JSON.stringify(value);
  switch (kind) {
    case 'meta': {
      const key = textOf(body['key']);
      return /^[io]ifname$/.test(key) ? key : `meta ${key}`;
    }
    case 'payload':
      return `${textOf(body['protocol'])} ${textOf(body['field'])}`;
    case 'ct':
      return `ct ${textOf(body['key'])}`;
    case 'prefix':
      return `${deeper(body['addr'])}/${textOf(body['len'])}`;
    default:
      return JSON.stringify(value);
  }
}
