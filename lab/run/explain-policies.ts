import type { WalkStep } from '../../dataplane/redirect/walk.ts';
import type { CountedRule } from '../policy/read-back.ts';
import { POLICY_TABLE } from '../policy/render-nft.ts';

/** Gives rules of NetworkPolicies in a walk the reasons that the policies have for them. */
export function explainPolicies(
  steps: readonly WalkStep[],
  counted: readonly CountedRule[],
): readonly WalkStep[] {
  if (counted.length === 0) return steps;
  return steps.map((step) => {
    if (step.kind !== 'rule' || step.why !== undefined) return step;
    const ofChain = counted.filter(({ chain }) => chain === step.chain);
    // In nftables the table has no rule of others; in iptables theirs stand between ours.
    const found =
      step.table === POLICY_TABLE
        ? ofChain[(step.ruleNumber ?? 0) - 1]
        : ofChain.find(({ text }) => step.table === 'filter' && text === step.text);
    return found === undefined ? step : { ...step, why: found.why };
  });
}
