import { findAgentHung } from './causes/agent-hung.ts';
import { findDuplicatedRules } from './causes/duplicated-rules.ts';
import { findForeignRules } from './causes/foreign-rule.ts';
import { findIpv6Off } from './causes/ipv6-off.ts';
import { findLeftOver } from './causes/left-over.ts';
import { findMtuTooSmall } from './causes/mtu-too-small.ts';
import { findOtherThanPlanned } from './causes/other-than-planned.ts';
import { findPolicyWithout15008 } from './causes/policy-without-15008.ts';
import { findPortTaken } from './causes/port-taken.ts';
import { findRpFilterStrict } from './causes/rp-filter-strict.ts';
import { findRulesMissing } from './causes/rules-missing.ts';
import { findWrongNetns } from './causes/wrong-netns.ts';
import { findZtunnelGone } from './causes/ztunnel-gone.ts';
import { findZtunnelNotTold } from './causes/ztunnel-not-told.ts';
import type { Evidence } from './evidence.ts';
import type { Finding } from './finding.ts';

type Finder = (evidence: Evidence) => readonly Finding[];

/** One file a cause. What takes down most comes first. */
const FINDERS: readonly Finder[] = [
  findZtunnelGone,
  findAgentHung,
  findWrongNetns,
  findPortTaken,
  findZtunnelNotTold,
  findRulesMissing,
  findForeignRules,
  findDuplicatedRules,
  findPolicyWithout15008,
  findMtuTooSmall,
  findIpv6Off,
  findRpFilterStrict,
  findLeftOver,
];

/** What is wrong in a lab, by what was read of it alone; empty when nothing is. */
export function diagnose(evidence: Evidence): readonly Finding[] {
  const named = FINDERS.flatMap((find) => find(evidence));
  return [...named, ...findOtherThanPlanned(evidence, named)];
}
