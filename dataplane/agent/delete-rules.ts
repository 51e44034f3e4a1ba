import { isOurChain } from '../redirect/constants.ts';
import { isBuiltInChain, renderOption } from '../redirect/render.ts';
import type { SavedRule, SavedRules, SavedTable } from '../redirect/saved.ts';

/** Order in which Istio takes its tables down. */
const TABLE_ORDER = ['mangle', 'nat', 'raw', 'filter', 'security'];

/**
 * Restore text that takes away every chain of ours and every jump to one, and nothing else: jumps
 * first, then contents, then chains. Empty when there is nothing of ours. Istio issues the same as
 * single commands whose failures it ignores; written from what is there, none can fail.
 */
export function deleteRulesText(saved: SavedRules): string {
  const tables = [...saved.tables].sort(
    (a, b) => TABLE_ORDER.indexOf(a.name) - TABLE_ORDER.indexOf(b.name),
  );
  return tables.map(deleteFromTable).join('');
}

function deleteFromTable(table: SavedTable): string {
  const chains = table.chains.map((chain) => chain.name).filter(isOurs);
  if (chains.length === 0) return '';
  const jumps = table.rules.filter((rule) => !isOurs(rule.chain) && jumpsToOurs(rule));
  const lines = [
    `*${table.name}`,
    ...jumps.map((rule) => ['-D', rule.chain, ...rule.options.map(renderOption)].join(' ')),
    ...chains.map((chain) => `-F ${chain}`),
    ...chains.map((chain) => `-X ${chain}`),
    'COMMIT',
  ];
  return `${lines.join('\n')}\n`;
}

function isOurs(chain: string): boolean {
  return !isBuiltInChain(chain) && isOurChain(chain);
}

function jumpsToOurs(rule: SavedRule): boolean {
  return rule.options.some(
    (option) => (option.flag === '-j' || option.flag === '-g') && isOurs(option.values[0] ?? ''),
  );
}
