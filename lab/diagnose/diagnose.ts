import { findRulesMissing } from './causes/rules-missing.ts';
import { findZtunnelNotTold } from './causes/ztunnel-not-told.ts';
import type { Evidence } from './evidence.ts';
import type { Finding } from './finding.ts';

type Finder = (evidence: Evidence) => readonly Finding[];

/** One file a cause. */
const FINDERS: readonly Finder[] = [findRulesMissing, findZtunnelNotTold];

/** What is wrong in a lab, by what was read of it alone; empty when nothing is. */
export function diagnose(evidence: Evidence): readonly Finding[] {
  return FINDERS.flatMap((find) => find(evidence));
}
