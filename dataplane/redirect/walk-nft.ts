import type { PlacedRule } from './diff.ts';
import type { NftListedChain, NftListedRule, NftListedTable, NftListing } from './nft-listing.ts';
import { countersOf, HOOKS_OF, isReply, placeOf } from './walk.ts';
import type { Direction, WalkStep } from './walk.ts';

/** Priorities of the tables of iptables (netfilter_ipv4.h); nat has another one where it is last. */
const IPTABLES_PRIORITIES: Readonly<Record<string, number>> = {
  raw: -300,
  mangle: -150,
  nat: -100,
  filter: 0,
  security: 50,
};
const LAST_NAT = 100;

const HOOK_ORDER = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'];

interface Walk {
  readonly hook: string;
  readonly table: NftListedTable;
  readonly known: readonly PlacedRule[];
  readonly seen: Set<string>;
  readonly steps: WalkStep[];
}

/** A walk through tables of nftables, to be put between those of iptables. */
interface Section {
  readonly hook: string;
  readonly priority: number;
  readonly steps: readonly WalkStep[];
}

/**
 * The walk of iptables with the tables of nftables in it where their priorities put them (hooks of
 * IPv4: families inet and ip).
 * @param known rules whose reasons are known
 */
export function mergeNftWalk(
  steps: readonly WalkStep[],
  listing: NftListing,
  direction: Direction,
  known: readonly PlacedRule[] = [],
): readonly WalkStep[] {
  const sections = [...iptablesSections(steps), ...nftSections(listing, direction, known)];
  const order = (section: Section): number => HOOK_ORDER.indexOf(section.hook);
  return sections
    .sort((a, b) => order(a) - order(b) || a.priority - b.priority)
    .flatMap((section) => section.steps);
}

function iptablesSections(steps: readonly WalkStep[]): readonly Section[] {
  const groups = new Map<string, WalkStep[]>();
  for (const step of steps) {
    const key = `${step.hook} ${step.table}`;
    const group = groups.get(key) ?? [];
    group.push(step);
    groups.set(key, group);
  }
  return [...groups.values()].flatMap((group): Section[] => {
    const [first] = group;
    if (first === undefined) return [];
    const { hook, table } = first;
    const isLast = table === 'nat' && (hook === 'INPUT' || hook === 'POSTROUTING');
    const priority = isLast ? LAST_NAT : (IPTABLES_PRIORITIES[table] ?? 0);
    return [{ hook, priority, steps: group }];
  });
}

function nftSections(
  listing: NftListing,
  direction: Direction,
  known: readonly PlacedRule[],
): readonly Section[] {
  const tables = listing.tables.filter(({ family }) => family === 'inet' || family === 'ip');
  return tables.flatMap((table) =>
    table.chains.flatMap((chain): Section[] => {
      const hook = chain.base?.hook.toUpperCase() ?? '';
      const isAsked = chain.base?.type !== 'nat' || !isReply(direction);
      if (chain.base === undefined || !HOOKS_OF[direction].includes(hook) || !isAsked) return [];
      const walk: Walk = { hook, table, known, seen: new Set(), steps: [] };
      walkChain(walk, chain, 0);
      if (chain.base.policy !== 'accept') {
        const place = placeOf(walk, chain.name, 0);
        walk.steps.push({ kind: 'policy', ...place, text: `policy ${chain.base.policy}` });
      }
      return [{ hook, priority: chain.base.priority, steps: walk.steps }];
    }),
  );
}

function walkChain(walk: Walk, chain: NftListedChain, depth: number): void {
  walk.seen.add(chain.name);
  chain.rules.forEach((rule, index) => {
    walk.steps.push({
      kind: 'rule',
      ...placeOf(walk, chain.name, depth),
      ruleNumber: index + 1,
      line: rule.line,
      text: rule.normal,
      ...countersOf(rule.counters),
      ...reasonOf(walk, chain.name, rule),
    });
    const name = /(?:^| )(?:jump|goto) (\S+)(?: comment ".*")?$/.exec(rule.normal)?.[1];
    const next = walk.table.chains.find((candidate) => candidate.name === name);
    if (next === undefined) return;
    if (!walk.seen.has(next.name)) walkChain(walk, next, depth + 1);
    else
      walk.steps.push({ kind: 'again', ...placeOf(walk, next.name, depth + 1), text: next.name });
  });
}

function reasonOf({ table, known }: Walk, chain: string, rule: NftListedRule) {
  const found = known.find(
    (each) => each.table === table.name && each.chain === chain && each.text === rule.normal,
  );
  return found?.why === undefined ? {} : { why: found.why };
}
