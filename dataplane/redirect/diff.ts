import { CHAIN_PREFIX, isOurChain, NODE_CHAIN_PREFIX } from './constants.ts';
import { normaliseRule } from './normalise.ts';
import { chainsOf, isBuiltInChain, ruleOptions } from './render.ts';
import type { Family, FamilyRules } from './rule.ts';
import { TABLES } from './rule.ts';
import type { SavedRules } from './saved.ts';

/** A rule with its place, in the one spelling that rules are compared in. */
export interface PlacedRule {
  readonly table: string;
  readonly chain: string;
  readonly text: string;
  /** Present for rules of ours. */
  readonly why?: string;
}

export interface RuleDiff {
  readonly missing: readonly PlacedRule[];
  readonly extra: readonly PlacedRule[];
  /** Chains in which the rules that both sides have stand in another order. */
  readonly reordered: readonly { readonly table: string; readonly chain: string }[];
}

/** What a namespace lacks of the rules it should have, and what of ours it has too much. */
export interface Drift extends RuleDiff {
  readonly missingChains: readonly string[];
  /** Chains with our prefix that nobody wants, as `table/chain`. */
  readonly leftoverChains: readonly string[];
  /** Whether any chain with our prefix exists: rules cannot be loaded on top of those. */
  readonly hasResidue: boolean;
  readonly isClean: boolean;
}

/** Compares two lists of rules chain by chain; equal rules that stand twice count twice. */
export function diffRules(wanted: readonly PlacedRule[], found: readonly PlacedRule[]): RuleDiff {
  const missing = without(wanted, found);
  const extra = without(found, wanted);
  const left = byChain(without(wanted, missing));
  const right = byChain(without(found, extra));
  const reordered = [...left].flatMap(([key, rules]) => {
    const other = right.get(key) ?? [];
    const first = rules[0];
    const isSame = rules.every((rule, index) => rule.text === other[index]?.text);
    return isSame || first === undefined ? [] : [{ table: first.table, chain: first.chain }];
  });
  return { missing, extra, reordered };
}

/** Our rules of one family, ready to compare. */
export function placedRules(rules: FamilyRules): readonly PlacedRule[] {
  return rules.rules.map((rule) => ({
    table: rule.table,
    chain: rule.chain,
    text: normaliseRule(ruleOptions(rule), rules.family),
    why: rule.why,
  }));
}

/** Rules read back from the kernel, ready to compare. */
export function placedSaved(saved: SavedRules, family: Family): readonly PlacedRule[] {
  return saved.tables.flatMap((table) =>
    table.rules.map((rule) => ({
      table: table.name,
      chain: rule.chain,
      text: normaliseRule(rule.options, family),
    })),
  );
}

/**
 * Compares a namespace with what it should have. Rules of others (in built-in chains, or chains
 * without our prefix) do not count. Istio itself ignores the order of rules; here it counts, for
 * every rule in these chains is a verdict.
 */
export function findDrift(wanted: FamilyRules, saved: SavedRules): Drift {
  const found = placedSaved(saved, wanted.family).filter(
    (rule) => isOurChain(rule.chain) || isJumpToOurs(rule) || isOwned(wanted, rule),
  );
  const diff = diffRules(placedRules(wanted), found);
  const wantedChains = TABLES.flatMap((table) =>
    chainsOf(table, wanted).map((chain) => `${table}/${chain}`),
  );
  const foundChains = ourChains(saved);
  const missingChains = wantedChains.filter((chain) => !foundChains.includes(chain));
  const leftoverChains = foundChains.filter((chain) => !wantedChains.includes(chain));
  const faults = [diff.missing, diff.extra, diff.reordered, missingChains, leftoverChains];
  return {
    ...diff,
    missingChains,
    leftoverChains,
    hasResidue: foundChains.length > 0,
    isClean: faults.every((list) => list.length === 0),
  };
}

/** Chains with our prefix that exist, as `table/chain`. */
export function ourChains(saved: SavedRules): readonly string[] {
  return saved.tables.flatMap((table) =>
    table.chains
      .filter((chain) => isOurChain(chain.name))
      .map((chain) => `${table.name}/${chain.name}`),
  );
}

const JUMP_TO_OURS = new RegExp(`(?:^| )-[jg] (?:${CHAIN_PREFIX}|${NODE_CHAIN_PREFIX})`);

function isJumpToOurs(rule: PlacedRule): boolean {
  return isBuiltInChain(rule.chain) && JUMP_TO_OURS.test(rule.text);
}

function isOwned({ ownedChains = [] }: FamilyRules, rule: PlacedRule): boolean {
  return ownedChains.some(({ table, chain }) => table === rule.table && chain === rule.chain);
}

function keyOf(rule: PlacedRule): string {
  return `${rule.table} ${rule.chain} ${rule.text}`;
}

/** Rules of `list` that `others` does not hold, each of the others taken once. */
function without(
  list: readonly PlacedRule[],
  others: readonly PlacedRule[],
): readonly PlacedRule[] {
  const left = new Map<string, number>();
  for (const rule of others) left.set(keyOf(rule), (left.get(keyOf(rule)) ?? 0) + 1);
  return list.filter((rule) => {
    const count = left.get(keyOf(rule)) ?? 0;
    if (count > 0) left.set(keyOf(rule), count - 1);
    return count === 0;
  });
}

function byChain(rules: readonly PlacedRule[]): Map<string, PlacedRule[]> {
  const chains = new Map<string, PlacedRule[]>();
  for (const rule of rules) {
    const key = `${rule.table} ${rule.chain}`;
    const list = chains.get(key) ?? [];
    list.push(rule);
    chains.set(key, list);
  }
  return chains;
}
