import { parseSave } from '../parse-save.ts';
import type { Family, FamilyRules, RedirectRule, Table } from '../rule.ts';
import { target } from '../rule.ts';

/** A rule as its source writes it, with its table in front: `nat -A ISTIO_OUTPUT -j RETURN`; and why. */
export type ListedRule = readonly [rule: string, why: string];

/** Rules written as text, as data; `-I` counts as an append, for the order is that of the list. */
export function rulesOfListing(family: Family, listing: readonly ListedRule[]): FamilyRules {
  return { family, rules: listing.map(([text, why]) => ruleOf(text, why)) };
}

function ruleOf(text: string, why: string): RedirectRule {
  const [table = '', , chain = ''] = text.split(' ', 3);
  const line = text.slice(table.length + 1);
  const saved = parseSave(`*${table}\n:${chain} - [0:0]\n${line}\nCOMMIT\n`);
  const options = saved.tables[0]?.rules[0]?.options ?? [];
  const at = options.findIndex(({ flag }) => flag === '-j');
  return {
    table: table as Table,
    chain,
    position: 'append',
    match: options.slice(0, at),
    target: target(options[at]?.values[0] ?? '', ...options.slice(at + 1)),
    why,
  };
}
