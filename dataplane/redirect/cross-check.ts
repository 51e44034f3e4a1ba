import iptablesParser from 'iptables-parser';
import { parseSave } from './parse-save.ts';
import { renderSavedRule } from './saved.ts';
import type { Counters, SavedRules } from './saved.ts';

/** What the library makes of one table: the text of chain lines and of rules is all we trust it with. */
interface ForeignTable {
  readonly chains: readonly string[];
  readonly rules: readonly { readonly rule: string }[];
}

/** One thing on which our parser and the library differ. */
export interface Disagreement {
  readonly table: string;
  readonly what: 'tables' | 'chains' | 'rules';
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
}

/**
 * Reads the same text with the npm package `iptables-parser` and compares tables, chain lines and
 * raw rules. The package loses negation, marks, several `-m` and chain names with `_`, drops rules
 * that begin with counters (taken off before) and cuts tables at any `*` (which is then reported).
 * @returns nothing found wrong: an empty list
 * @throws {SavedRulesError} when our parser refuses the text
 */
export function crossCheck(text: string): readonly Disagreement[] {
  const ours = parseSave(text);
  const theirs: Record<string, ForeignTable> = iptablesParser.parseIptablesDoc(
    text.replaceAll(/^\[\d+:\d+\] (?=-A)/gm, ''),
  );
  const names = ours.tables.map((table) => table.name);
  const disagreements = compare('*', 'tables', names, Object.keys(theirs));
  return [...disagreements, ...names.flatMap((name) => compareTable(ours, name, theirs[name]))];
}

function compareTable(
  ours: SavedRules,
  name: string,
  theirs: ForeignTable | undefined,
): readonly Disagreement[] {
  const table = ours.tables.find((candidate) => candidate.name === name);
  const chains = (table?.chains ?? []).map(
    (chain) => `:${chain.name} ${chain.policy ?? '-'}${countersText(chain.counters)}`,
  );
  const rules = (table?.rules ?? []).map(renderSavedRule);
  return [
    ...compare(name, 'chains', chains, theirs?.chains ?? []),
    ...compare(name, 'rules', rules, theirs?.rules.map((rule) => rule.rule) ?? []),
  ];
}

function compare(
  table: string,
  what: Disagreement['what'],
  ours: readonly string[],
  theirs: readonly string[],
): readonly Disagreement[] {
  const isSame =
    ours.length === theirs.length && ours.every((text, index) => text === theirs[index]);
  return isSame ? [] : [{ table, what, ours, theirs }];
}

function countersText(counters: Counters | undefined): string {
  return counters === undefined ? '' : ` [${counters.packets}:${counters.bytes}]`;
}
