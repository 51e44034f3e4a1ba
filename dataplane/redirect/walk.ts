import { placedRules } from './diff.ts';
import { normaliseRule } from './normalise.ts';
import type { Family, FamilyRules } from './rule.ts';
import type { Counters, SavedRule, SavedRules, SavedTable } from './saved.ts';
import { renderSavedRule } from './saved.ts';

/**
 * Which way a packet goes through the namespace. `inbound`, `outbound` and `forwarded`: the first one
 * of a connection. The others are its replies, which no table nat sees: conntrack knows the answer.
 */
export type Direction =
  | 'inbound'
  | 'outbound'
  | 'forwarded'
  | 'reply-to-inbound'
  | 'reply-to-outbound'
  | 'reply-to-forwarded';

export interface WalkOptions {
  readonly family: Family;
  /** Rules whose reasons are known. */
  readonly known?: readonly FamilyRules[];
  /** Reasons of rules that are not spelt as known ones are. */
  readonly reasonOf?: (rule: SavedRule) => string | undefined;
}

/**
 * One line of the walk. `rule`: a rule that the packet meets unless an earlier one ended its way;
 * `policy`: what becomes of it at the end of a built-in chain; `again`: a chain that was listed
 * above in the same table and hook.
 */
export interface WalkStep {
  readonly kind: 'rule' | 'policy' | 'again';
  readonly hook: string;
  readonly table: string;
  readonly chain: string;
  /** 0 in a built-in chain, one more for each jump. */
  readonly depth: number;
  /** Number of the rule in its chain, from 1, as `iptables -L --line-numbers` counts. */
  readonly ruleNumber?: number;
  /** Line of the text that was read. */
  readonly line?: number;
  /** The rule as iptables-save prints it, or the policy, or the chain. */
  readonly text: string;
  readonly packets?: number;
  readonly bytes?: number;
  /** The reason, for rules that we know. */
  readonly why?: string;
}

/** Tables of each hook in the order of their priorities (netfilter_ipv4.h; nat is last on INPUT). */
const HOOK_TABLES: Readonly<Record<string, readonly string[]>> = {
  PREROUTING: ['raw', 'mangle', 'nat'],
  INPUT: ['mangle', 'filter', 'security', 'nat'],
  FORWARD: ['mangle', 'filter', 'security'],
  OUTPUT: ['raw', 'mangle', 'nat', 'filter', 'security'],
  POSTROUTING: ['mangle', 'nat'],
};

/** The hooks that packets of a direction pass, in their order. */
export const HOOKS_OF: Readonly<Record<Direction, readonly string[]>> = {
  inbound: ['PREROUTING', 'INPUT'],
  outbound: ['OUTPUT', 'POSTROUTING'],
  forwarded: ['PREROUTING', 'FORWARD', 'POSTROUTING'],
  'reply-to-inbound': ['OUTPUT', 'POSTROUTING'],
  'reply-to-outbound': ['PREROUTING', 'INPUT'],
  'reply-to-forwarded': ['PREROUTING', 'FORWARD', 'POSTROUTING'],
};

/** Whether packets of the direction belong to connections that are known already. */
export function isReply(direction: Direction): boolean {
  return direction.startsWith('reply-');
}

/** A chain of the kernel is a tree of jumps; text from elsewhere may be deeper than any kernel takes. */
const MAX_DEPTH = 64;

interface Walk {
  readonly hook: string;
  readonly table: SavedTable;
  readonly chainNames: ReadonlySet<string>;
  readonly rulesByChain: ReadonlyMap<string, readonly SavedRule[]>;
  readonly options: WalkOptions;
  readonly reasons: ReadonlyMap<string, string>;
  readonly seen: Set<string>;
  readonly steps: WalkStep[];
}

/**
 * Every rule in the order in which a packet of the given direction meets it: hook by hook, table by
 * table, into each chain at its jump. Chains without rules and policy ACCEPT are left out.
 */
export function walkRules(
  saved: SavedRules,
  direction: Direction,
  options: WalkOptions,
): readonly WalkStep[] {
  const reasons = reasonsOf(options);
  const steps: WalkStep[] = [];
  for (const hook of HOOKS_OF[direction]) {
    for (const name of HOOK_TABLES[hook] ?? []) {
      const table = saved.tables.find((candidate) => candidate.name === name);
      if (table === undefined || (name === 'nat' && isReply(direction))) continue;
      const rulesByChain = groupByChain(table.rules);
      const chainNames = new Set(table.chains.map((chain) => chain.name));
      const seen = new Set<string>();
      const walk = { hook, table, chainNames, rulesByChain, options, reasons, seen, steps };
      walkChain(walk, hook, 0);
      addPolicy(walk);
    }
  }
  return steps;
}

function groupByChain(rules: readonly SavedRule[]): ReadonlyMap<string, readonly SavedRule[]> {
  const chains = new Map<string, SavedRule[]>();
  for (const rule of rules) {
    const list = chains.get(rule.chain) ?? [];
    list.push(rule);
    chains.set(rule.chain, list);
  }
  return chains;
}

function walkChain(walk: Walk, chain: string, depth: number): void {
  walk.seen.add(chain);
  const rules = walk.rulesByChain.get(chain) ?? [];
  rules.forEach((rule, index) => {
    const normal = normaliseRule(rule.options, walk.options.family);
    const why =
      walk.reasons.get(`${walk.table.name} ${chain} ${normal}`) ?? walk.options.reasonOf?.(rule);
    walk.steps.push({
      kind: 'rule',
      ...placeOf(walk, chain, depth),
      ruleNumber: index + 1,
      line: rule.line,
      text: renderSavedRule(rule),
      ...countersOf(rule.counters),
      ...(why === undefined ? {} : { why }),
    });
    const next = jumpOf(rule);
    if (next === undefined || !walk.chainNames.has(next)) return;
    if (!walk.seen.has(next) && depth < MAX_DEPTH) walkChain(walk, next, depth + 1);
    else walk.steps.push({ kind: 'again', ...placeOf(walk, next, depth + 1), text: next });
  });
}

function addPolicy(walk: Walk): void {
  const chain = walk.table.chains.find((candidate) => candidate.name === walk.hook);
  const rules = walk.rulesByChain.get(walk.hook) ?? [];
  if (chain?.policy === undefined || (rules.length === 0 && chain.policy === 'ACCEPT')) return;
  walk.steps.push({
    kind: 'policy',
    ...placeOf(walk, chain.name, 0),
    text: `policy ${chain.policy}`,
    ...countersOf(chain.counters),
  });
}

/** Where a step stands, of a walk through any kind of table. */
export function placeOf(
  { hook, table }: { readonly hook: string; readonly table: { readonly name: string } },
  chain: string,
  depth: number,
) {
  return { hook, table: table.name, chain, depth };
}

/** Counters of a rule or a chain as a step has them; none where it has none. */
export function countersOf(counters: Counters | undefined) {
  if (counters === undefined) return {};
  return { packets: Number(counters.packets), bytes: Number(counters.bytes) };
}

function jumpOf(rule: SavedRule): string | undefined {
  return rule.options.find((option) => /^(?:-j|--jump|-g|--goto)$/.test(option.flag))?.values[0];
}

function reasonsOf(options: WalkOptions): ReadonlyMap<string, string> {
  const reasons = new Map<string, string>();
  for (const family of options.known ?? []) {
    if (family.family !== options.family) continue;
    for (const rule of placedRules(family)) {
      reasons.set(`${rule.table} ${rule.chain} ${rule.text}`, rule.why ?? '');
    }
  }
  return reasons;
}
