import { NftListingError } from './errors.ts';
import { PRIORITY_NAMES } from './nft-listing.ts';
import type {
  NftListedBase,
  NftListedChain,
  NftListedRule,
  NftListedSet,
  NftListedTable,
  NftListing,
} from './nft-listing.ts';

const MAX_TEXT_CHARACTERS = 64 * 1024 * 1024;
const MAX_LINE_CHARACTERS = 1024 * 1024;
const MAX_COUNTER = 0xffff_ffff_ffff_ffffn;

interface OpenTable extends NftListedTable {
  readonly chains: OpenChain[];
  readonly sets: NftListedSet[];
}

interface OpenChain extends Omit<NftListedChain, 'base'> {
  base?: NftListedBase;
  readonly rules: NftListedRule[];
}

/** A block that nobody here needs to look into, or a set whose type is wished. */
interface OpenObject {
  readonly set?: Omit<NftListedSet, 'type'>;
  type: string;
}

interface Reader {
  readonly tables: OpenTable[];
  table: OpenTable | undefined;
  chain: OpenChain | undefined;
  object: OpenObject | undefined;
}

/**
 * Text of `nft list ruleset`, `nft list table …` (with or without `-n`, `-y`, `-a`): tables, chains
 * with their hooks, rules in order, sets by name and type. Other objects (maps, flowtables, limits)
 * are passed over.
 * @throws {NftListingError} with line and column when the text is anything else
 */
export function parseNft(text: string): NftListing {
  if (text.length > MAX_TEXT_CHARACTERS) {
    throw new NftListingError(1, 1, `${text.length} characters, at most ${MAX_TEXT_CHARACTERS}`);
  }
  const reader: Reader = {
    tables: [],
    table: undefined,
    chain: undefined,
    object: undefined,
  };
  const lines = text.split('\n');
  lines.forEach((line, index) => readLine(reader, line, index + 1));
  if (reader.table !== undefined) {
    const reason = `table "${excerpt(reader.table.name)}" is not closed: the text is cut off`;
    throw new NftListingError(lines.length, 1, reason);
  }
  return { tables: reader.tables };
}

function readLine(reader: Reader, line: string, number: number): void {
  if (line.length > MAX_LINE_CHARACTERS) {
    throw new NftListingError(number, MAX_LINE_CHARACTERS, 'the line goes on and on');
  }
  const text = withoutHandle(line.trim());
  // Warnings stand outside of chains; inside, a rule may begin with a match that nft cannot name.
  if (text === '' || (reader.chain === undefined && text.startsWith('#'))) return;
  if (reader.table === undefined) openTable(reader, text, number);
  else if (reader.chain !== undefined) readInChain(reader, reader.chain, text, number);
  else if (reader.object !== undefined) readInObject(reader, reader.table, line, text);
  else readInTable(reader, reader.table, text, number);
}

function openTable(reader: Reader, text: string, line: number): void {
  const [, family, name] = /^table (ip|ip6|inet|arp|bridge|netdev) (\S+) \{$/.exec(text) ?? [];
  if (family === undefined || name === undefined) {
    throw new NftListingError(line, 1, `"${excerpt(text)}" opens no table`);
  }
  const isKnown = reader.tables.some((each) => each.family === family && each.name === name);
  if (isKnown) throw new NftListingError(line, 1, `table "${excerpt(name)}" stands here again`);
  reader.table = { family, name, line, chains: [], sets: [] };
  reader.tables.push(reader.table);
}

function readInTable(reader: Reader, table: OpenTable, text: string, line: number): void {
  if (text === '}') {
    reader.table = undefined;
    return;
  }
  const [, kind = '', name = ''] = /^(\S+)(?: (.+))? \{$/.exec(text) ?? [];
  if (kind === 'chain') {
    if (table.chains.some((chain) => chain.name === name)) {
      throw new NftListingError(line, 1, `chain "${excerpt(name)}" stands here again`);
    }
    reader.chain = { name, line, rules: [] };
    table.chains.push(reader.chain);
  } else if (kind === 'set' || kind === 'map') {
    reader.object = { set: { name, kind, line }, type: '' };
  } else if (kind !== '') reader.object = { type: '' };
  // What is left are flags and comments of the table.
  else if (!/^(?:flags|comment) /.test(text)) {
    throw new NftListingError(line, 1, `"${excerpt(text)}" is nothing that a table holds`);
  }
}

function readInObject(reader: Reader, table: OpenTable, line: string, text: string): void {
  const { object } = reader;
  if (object === undefined) return;
  // Elements go over several lines and end in a brace of their own; the block's stands below its name.
  const isEnd = text === '}' && /^\t?\}/.test(line);
  if (!isEnd) {
    if (object.type === '' && /^type(?:of)? /.test(text)) object.type = text;
    return;
  }
  if (object.set !== undefined) table.sets.push({ ...object.set, type: object.type });
  reader.object = undefined;
}

function readInChain(reader: Reader, chain: OpenChain, text: string, line: number): void {
  if (text === '}') reader.chain = undefined;
  else if (chain.rules.length === 0 && /^type \S+ hook /.test(text)) {
    chain.base = readBase(text, line);
  } else if (!(chain.rules.length === 0 && /^comment "[^"]*"$/.test(text))) {
    chain.rules.push(readRule(text, line));
  }
}

function readBase(text: string, line: number): NftListedBase {
  const pattern = /^type (\S+) hook (\S+) (?:.+ )?priority ([\w-]+)(?: ([+-]) (\d{1,9}))?;/;
  const [, type, hook, from, sign, offset] = pattern.exec(text) ?? [];
  const start = PRIORITY_NAMES.get(from ?? '') ?? Number(from ?? Number.NaN);
  if (type === undefined || hook === undefined || !Number.isSafeInteger(start)) {
    throw new NftListingError(line, 1, `"${excerpt(text)}" is no hook of a base chain`);
  }
  const priority = start + (sign === '-' ? -1 : 1) * Number(offset ?? 0);
  const policy = / policy (\w+);/.exec(text)?.[1] ?? 'accept';
  return { type, hook, priority, policy };
}

function readRule(text: string, line: number): NftListedRule {
  const [, packets, bytes] = /(?:^| )counter packets (\d+) bytes (\d+)(?= |$)/.exec(text) ?? [];
  const normal = text
    .replaceAll(/(^| )counter packets \d+ bytes \d+(?= |$)/g, '$1counter')
    .replaceAll(/ {2,}/g, ' ');
  if (packets === undefined || bytes === undefined) return { text, normal, line };
  const counters = { packets: BigInt(packets), bytes: BigInt(bytes) };
  if (counters.packets > MAX_COUNTER || counters.bytes > MAX_COUNTER) {
    throw new NftListingError(line, 1, 'a counter of more than 64 bits');
  }
  return { text, normal, counters, line };
}

/** `-a` puts a handle behind everything. */
function withoutHandle(text: string): string {
  return text.replace(/ # handle \d+$/, '');
}

function excerpt(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
