import { SavedRulesError } from './errors.ts';
import type { RuleOption } from './rule.ts';
import type { Counters, SavedChain, SavedRule, SavedRules, SavedTable } from './saved.ts';
import { tokenise } from './tokenise.ts';
import type { Token } from './tokenise.ts';

/** Beyond what the largest kube-proxy writes; more is refused before it is read. */
const MAX_TEXT_CHARACTERS = 64 * 1024 * 1024;
const MAX_LINE_CHARACTERS = 64 * 1024;
/** Each moves the rules behind it; nobody writes more by hand. */
const MAX_INSERTS = 4096;
const MAX_COUNTER = 0xffff_ffff_ffff_ffffn;

/** Options whose one value is free text and may begin with `-`: iptables-save quotes no dash. */
const FREE_TEXT_FLAGS: ReadonlySet<string> = new Set([
  '--comment',
  '--hex-string',
  '--log-prefix',
  '--nflog-prefix',
  '--string',
  '--ulog-prefix',
]);

const BUILT_IN: ReadonlySet<string> = new Set([
  'PREROUTING',
  'INPUT',
  'FORWARD',
  'OUTPUT',
  'POSTROUTING',
]);

interface OpenTable {
  readonly name: string;
  readonly line: number;
  readonly chains: Map<string, SavedChain>;
  readonly rules: SavedRule[];
}

/** `restore`: also `-N` and `-I`, and built-in chains that nobody declared, as in iptables-restore's input. */
export interface ParseOptions {
  readonly dialect?: 'save' | 'restore';
}

interface Reader {
  readonly isRestore: boolean;
  inserts: number;
  readonly tables: Map<string, SavedTable>;
  readonly comments: { readonly line: number; readonly text: string }[];
  open: OpenTable | undefined;
}

/**
 * Text of `iptables-save` or `ip6tables-save` (with or without `-c`), nothing lost: tables, chains,
 * policies, counters, every option with negation, order and quotes. `renderSaved` gives it back.
 * @throws {SavedRulesError} with line and column when the text is anything else
 */
export function parseSave(text: string, options: ParseOptions = {}): SavedRules {
  if (text.length > MAX_TEXT_CHARACTERS) {
    throw new SavedRulesError(1, 1, `${text.length} characters, at most ${MAX_TEXT_CHARACTERS}`);
  }
  const isRestore = options.dialect === 'restore';
  const reader: Reader = {
    isRestore,
    inserts: 0,
    tables: new Map(),
    comments: [],
    open: undefined,
  };
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  lines.forEach((content, index) => readLine(reader, content.replace(/\r$/, ''), index + 1));
  if (reader.open !== undefined) {
    const reason = `table "${reader.open.name}" has no COMMIT: the text is cut off`;
    throw new SavedRulesError(lines.length, 1, reason);
  }
  return { tables: [...reader.tables.values()], comments: reader.comments };
}

function readLine(reader: Reader, text: string, line: number): void {
  if (text.length > MAX_LINE_CHARACTERS) {
    throw new SavedRulesError(line, MAX_LINE_CHARACTERS, 'the line goes on and on');
  }
  const first = text[0];
  if (first === '#' || text.trim() === '') reader.comments.push({ line, text });
  else if (first === '*') openTable(reader, text, line);
  else if (first === ':') tableOf(reader, line).chains.set(...chainLine(reader, text, line));
  else if (reader.isRestore && /^-N[ \t]/.test(text)) newChain(reader, text, line);
  else if (first === '-' || first === '[') ruleLine(reader, text, line);
  else if (text.trim() === 'COMMIT') commit(reader, line);
  else throw new SavedRulesError(line, 1, `"${excerpt(text)}" is no line of iptables-save`);
}

function openTable(reader: Reader, text: string, line: number): void {
  if (reader.open !== undefined) {
    throw new SavedRulesError(line, 1, `table "${reader.open.name}" has no COMMIT yet`);
  }
  const name = text.slice(1).trim();
  if (!/^[\w-]{1,64}$/.test(name)) {
    throw new SavedRulesError(line, 2, `"${excerpt(name)}" is no name of a table`);
  }
  if (reader.tables.has(name)) {
    throw new SavedRulesError(line, 2, `table "${name}" stands here again, one family is wished`);
  }
  reader.open = { name, line, chains: new Map(), rules: [] };
}

function commit(reader: Reader, line: number): void {
  const { name, line: opened, chains, rules } = tableOf(reader, line);
  reader.tables.set(name, { name, line: opened, chains: [...chains.values()], rules });
  reader.open = undefined;
}

function tableOf(reader: Reader, line: number): OpenTable {
  if (reader.open !== undefined) return reader.open;
  throw new SavedRulesError(line, 1, 'no table is open, a line like "*nat" is wished first');
}

function chainLine(reader: Reader, text: string, line: number): [string, SavedChain] {
  const match = /^:(\S+)[ \t]+(\S+)(?:[ \t]+(\S+))?[ \t]*$/.exec(text);
  const [, name, policy, counters] = match ?? [];
  if (name === undefined || policy === undefined) {
    throw new SavedRulesError(line, 1, 'chain, policy and counters are wished');
  }
  if (tableOf(reader, line).chains.has(name)) {
    throw new SavedRulesError(line, 2, `chain "${excerpt(name)}" stands here again`);
  }
  if (policy !== '-' && !/^[A-Z]{1,16}$/.test(policy)) {
    const column = text.indexOf(policy, name.length + 1) + 1;
    throw new SavedRulesError(line, column, `"${excerpt(policy)}" is no policy`);
  }
  const chain: SavedChain = {
    name,
    ...(policy === '-' ? {} : { policy }),
    ...(counters === undefined
      ? {}
      : { counters: readCounters(counters, line, text.lastIndexOf(counters) + 1) }),
    line,
  };
  return [name, chain];
}

/** `-N <chain>` of a restore file. */
function newChain(reader: Reader, text: string, line: number): void {
  const name = text.slice(2).trim();
  const { chains } = tableOf(reader, line);
  if (!/^\S+$/.test(name)) throw new SavedRulesError(line, 4, 'one name of a chain is wished');
  if (chains.has(name)) {
    throw new SavedRulesError(line, 4, `chain "${excerpt(name)}" stands here again`);
  }
  chains.set(name, { name, line });
}

function ruleLine(reader: Reader, text: string, line: number): void {
  const tokens = [...tokenise(text, line)];
  const first = tokens[0];
  const hasCounters = first !== undefined && !first.isQuoted && first.text.startsWith('[');
  const counters = hasCounters ? readCounters(first.text, line, first.column) : undefined;
  if (hasCounters) tokens.shift();
  const [append, chain, ...rest] = tokens;
  const isInsert = reader.isRestore && append?.text === '-I';
  if ((append?.text !== '-A' && !isInsert) || append?.isQuoted === true) {
    const column = append?.column ?? text.length + 1;
    throw new SavedRulesError(line, column, 'only -A is a rule in iptables-save text');
  }
  const { chains, rules } = tableOf(reader, line);
  const name = chain?.text ?? '';
  if (reader.isRestore && BUILT_IN.has(name) && !chains.has(name)) {
    chains.set(name, { name, policy: 'ACCEPT', line });
  }
  if (!chains.has(name)) {
    const column = chain?.column ?? text.length + 1;
    const reason = `chain "${excerpt(name)}" was not declared in this table`;
    throw new SavedRulesError(line, column, reason);
  }
  const place = isInsert && /^\d{1,6}$/.test(rest[0]?.text ?? '') ? Number(rest.shift()?.text) : 1;
  const options = readOptions(rest, line);
  const rule = { chain: name, options, ...(counters === undefined ? {} : { counters }), line };
  if (!isInsert) rules.push(rule);
  else if (++reader.inserts > MAX_INSERTS) {
    throw new SavedRulesError(line, 1, `more than ${MAX_INSERTS} rules are inserted`);
  } else rules.splice(insertAt(rules, name, place), 0, rule);
}

/** Where a rule goes so that it is the n-th of its chain. */
function insertAt(rules: readonly SavedRule[], chain: string, place: number): number {
  let seen = 0;
  const at = rules.findIndex((rule) => rule.chain === chain && ++seen === place);
  return at < 0 ? rules.length : at;
}

function readOptions(tokens: readonly Token[], line: number): readonly RuleOption[] {
  const options: RuleOption[] = [];
  let offset = 0;
  while (offset < tokens.length) {
    const isNegated = isBang(tokens[offset]);
    const flag = tokens[isNegated ? offset + 1 : offset];
    if (flag === undefined || !isFlag(flag)) {
      const at = flag ?? tokens[offset];
      const reason = `an option is wished, not "${excerpt(at?.text ?? '')}"`;
      throw new SavedRulesError(line, at?.column ?? 1, reason);
    }
    const start = offset + (isNegated ? 2 : 1);
    const end = endOfValues(tokens, start, flag, line);
    options.push(toOption(flag, isNegated, tokens.slice(start, end)));
    offset = end;
  }
  return options;
}

function endOfValues(tokens: readonly Token[], start: number, flag: Token, line: number): number {
  if (FREE_TEXT_FLAGS.has(flag.text)) {
    if (tokens[start] !== undefined) return start + 1;
    throw new SavedRulesError(line, flag.column, `option ${flag.text} has no value`);
  }
  let end = start;
  for (let token = tokens[end]; token !== undefined; token = tokens[end]) {
    if (isFlag(token) || isBang(token)) break;
    end += 1;
  }
  return end;
}

function toOption(flag: Token, isNegated: boolean, values: readonly Token[]): RuleOption {
  const quoted = values.flatMap((value, index) => (value.isQuoted ? [index] : []));
  return {
    flag: flag.text,
    ...(isNegated ? { negated: true } : {}),
    values: values.map((value) => value.text),
    ...(quoted.length === 0 ? {} : { quoted }),
  };
}

function isBang(token: Token | undefined): boolean {
  return token !== undefined && !token.isQuoted && token.text === '!';
}

function isFlag(token: Token): boolean {
  return !token.isQuoted && /^-(?:[A-Za-z0-9]$|-[A-Za-z0-9])/.test(token.text);
}

function readCounters(text: string, line: number, column: number): Counters {
  const match = /^\[(\d{1,20}):(\d{1,20})\]$/.exec(text);
  const packets = BigInt(match?.[1] ?? -1);
  const bytes = BigInt(match?.[2] ?? -1);
  if (packets < 0n || packets > MAX_COUNTER || bytes > MAX_COUNTER) {
    throw new SavedRulesError(line, column, `"${excerpt(text)}" is not [packets:bytes]`);
  }
  return { packets, bytes };
}

function excerpt(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
