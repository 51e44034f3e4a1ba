import { crossCheck, type Disagreement } from '../../dataplane/redirect/cross-check.ts';
import { findDrift, type Drift } from '../../dataplane/redirect/diff.ts';
import { parseSave } from '../../dataplane/redirect/parse-save.ts';
import { isListedAs } from '../../dataplane/redirect/routing.ts';
import type { RoutingEntry, RuleSet } from '../../dataplane/redirect/rule.ts';
import { type Direction, type WalkStep, walkRules } from '../../dataplane/redirect/walk.ts';

/** What `ip6tables-save -c`, `ip -6 rule` and `ip -6 route show table all` printed. */
export interface Ipv6Texts {
  readonly saved: string;
  readonly policyRules: readonly string[];
  readonly routes: readonly string[];
}

/** The rules of IPv6 in one place of a running lab, as the kernel tells them. */
export interface Ipv6Reading extends Ipv6Texts {
  readonly walks: readonly { readonly direction: Direction; readonly steps: readonly WalkStep[] }[];
  readonly routing: readonly RoutingEntry[];
  /** Entries of `routing` that the kernel has not. */
  readonly missingRouting: readonly RoutingEntry[];
  /** What differs from the rules for ip6tables; absent where none are wanted. */
  readonly drift?: Drift;
  readonly disagreements: readonly Disagreement[];
}

/** Reads the texts of IPv6, and holds them against what the era wants there. */
export function readIpv6Rules(
  texts: Ipv6Texts,
  wanted: RuleSet | undefined,
  directions: readonly Direction[],
): Ipv6Reading {
  const known = wanted?.families ?? [];
  const rules = parseSave(texts.saved);
  const listed = [...texts.policyRules, ...texts.routes];
  const routing = (wanted?.routing ?? []).filter(({ family }) => family === 'ipv6');
  const ours = known.find(({ family }) => family === 'ipv6');
  return {
    ...texts,
    walks: directions.map((direction) => ({
      direction,
      steps: walkRules(rules, direction, { family: 'ipv6', known }),
    })),
    routing,
    missingRouting: routing.filter((entry) => !listed.some((line) => isListedAs(entry, line))),
    ...(ours === undefined ? {} : { drift: findDrift(ours, rules) }),
    disagreements: crossCheck(texts.saved),
  };
}
