import type { Family } from '../rule.ts';
import type { SavedRules } from '../saved.ts';
import { candidatesFor } from './candidates.ts';
import type { Candidate, RuleSetOption } from './candidate.ts';
import { compareWith, foundRules, isOurChain, targetOf } from './compare.ts';
import type { Comparison, Deviation, FoundRule } from './compare.ts';
import { differencesOf } from './differences.ts';
import type { Difference } from './differences.ts';

/** What a saved text is. */
export interface Recognition {
  readonly family: Family;
  /**
   * `known`: a rule set of Istio's, perhaps damaged; `unknown`: chains named as Istio names its own,
   * and nothing else like it; `none`: no redirect of Istio's.
   */
  readonly kind: 'known' | 'unknown' | 'none';
  readonly candidate?: Candidate;
  readonly options: readonly RuleSetOption[];
  readonly deviations: readonly Deviation[];
  readonly differences: readonly Difference[];
  /** Chains of others, with how many rules they have. */
  readonly others: readonly {
    readonly table: string;
    readonly chain: string;
    readonly rules: number;
  }[];
  /** Reasons of the rules, for a walk through the text: those of rules that were altered, too. */
  readonly comparison?: Comparison;
}

/** Says which rule set of Istio's a text of `iptables-save` is, with what options, and what is wrong in it. */
export function recognise(saved: SavedRules, family: Family): Recognition {
  const found = foundRules(saved, family);
  const named = saved.tables.flatMap(({ name, chains }) =>
    chains.filter((chain) => isOurChain(chain.name)).map((chain) => `${name} ${chain.name}`),
  );
  const best = candidatesFor(saved, family)
    .map((candidate) => compareWith(candidate, found))
    .reduce((a, b) => (b.distance < a.distance ? b : a));
  const others = othersIn(saved);
  const none = { family, options: [], deviations: [], differences: [], others };
  const isAlike = best.same.length + best.altered.length >= best.candidate.rules.rules.length / 3;
  if (!isAlike) return { ...none, kind: named.length === 0 ? 'none' : 'unknown' };
  const { comparison, options } = readExclusions(best);
  return {
    family,
    kind: 'known',
    candidate: comparison.candidate,
    options: [...comparison.candidate.options, ...options, ...freeValues(comparison.deviations)],
    deviations: comparison.deviations.filter(({ parameter }) => !parameter.isFree),
    differences: differencesOf(comparison, saved, found),
    others,
    comparison,
  };
}

function freeValues(deviations: readonly Deviation[]): readonly RuleSetOption[] {
  return deviations
    .filter(({ parameter }) => parameter.isFree)
    .map(({ parameter, value }) => ({ name: parameter.name, value }));
}

/** Ports and ranges that annotations of a sidecar exclude are options, not faults. */
function readExclusions(comparison: Comparison): {
  readonly comparison: Comparison;
  readonly options: readonly RuleSetOption[];
} {
  if (comparison.candidate.set.kind !== 'sidecar') return { comparison, options: [] };
  const excluded = comparison.extra.flatMap((rule) => {
    const option = exclusionOf(rule);
    return option === undefined ? [] : [{ rule, option }];
  });
  const names = [...new Set(excluded.map(({ option }) => option.name))];
  const options = names.map((name) => {
    const values = excluded.filter(({ option }) => option.name === name);
    return { name, value: [...new Set(values.map(({ option }) => option.value))].join(', ') };
  });
  const rules = new Set(excluded.map(({ rule }) => rule));
  const extra = comparison.extra.filter((rule) => !rules.has(rule));
  return { comparison: { ...comparison, extra }, options };
}

function exclusionOf({ chain, text, rule }: FoundRule): RuleSetOption | undefined {
  if (targetOf(rule) !== 'RETURN') return undefined;
  const port = /^-p (?:tcp|udp) -m (?:tcp|udp) --dport (\d+) -j RETURN$/.exec(text)?.[1];
  const range = /^-d (\S+) -j RETURN$/.exec(text)?.[1];
  if (chain === 'ISTIO_INBOUND' && port !== undefined) {
    return { name: 'excluded inbound ports', value: port };
  }
  if (chain !== 'ISTIO_OUTPUT') return undefined;
  if (port !== undefined) return { name: 'excluded outbound ports', value: port };
  return range === undefined ? undefined : { name: 'excluded outbound ranges', value: range };
}

function othersIn(saved: SavedRules): Recognition['others'] {
  return saved.tables.flatMap(({ name: table, rules }) => {
    const counts = new Map<string, number>();
    for (const rule of rules) {
      if (isOurChain(rule.chain) || isOurChain(targetOf(rule))) continue;
      counts.set(rule.chain, (counts.get(rule.chain) ?? 0) + 1);
    }
    return [...counts].map(([chain, count]) => ({ table, chain, rules: count }));
  });
}
