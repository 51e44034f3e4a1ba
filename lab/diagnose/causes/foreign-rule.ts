import type { WalkStep } from '../../../dataplane/redirect/walk.ts';
import type { Evidence, PodEvidence } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { nameOf, wishedPods } from '../pod-facts.ts';

/** Targets that end a packet's way through its table. */
const ENDS = /-j (ACCEPT|RETURN|DROP|REJECT|REDIRECT|DNAT|SNAT|MASQUERADE|QUEUE|NFQUEUE)\b/;
const DROPS = /-j (DROP|REJECT)\b/;

/** Enrolled pods in which a rule of somebody else keeps packets from the redirect. */
export function findForeignRules(evidence: Evidence): readonly Finding[] {
  return wishedPods(evidence).flatMap((pod): readonly Finding[] => {
    const rules = foreignSteps(pod);
    if (rules.length === 0) return [];
    const at = nameOf(pod);
    const isDropped = rules.some(({ text }) => DROPS.test(text));
    return [
      {
        cause: 'foreign-rule',
        at,
        text: "A rule that is not Istio's is met before the redirect and ends the way through the table",
        effect: isDropped
          ? 'What it matches is dropped before Istio sees it.'
          : 'What it matches travels in plain text, round ztunnel, though all rules of Istio are there.',
        evidence: rules.map(
          ({ table, chain, ruleNumber, text, packets }) =>
            `rule      ${table} ${chain} ${ruleNumber ?? '?'}: ${text}, taken by ${packets ?? '?'} packets`,
        ),
        mend:
          'Find out who adds it (its comment may tell) and delete it in the pod, or put it behind: ' +
          `iptables -t ${rules[0]?.table} -D ${rules[0]?.chain} ${rules[0]?.ruleNumber}.`,
      },
    ];
  });
}

/** Rules of built-in chains that come before Istio's jump in their table, or drop. */
function foreignSteps({ rules }: PodEvidence): readonly WalkStep[] {
  const walks = [...rules.walks, ...(rules.ipv6?.walks ?? [])];
  const found = new Map<string, WalkStep>();
  for (const { steps } of walks) {
    for (const [index, step] of steps.entries()) {
      if (step.kind !== 'rule' || step.depth > 0 || step.why !== undefined) continue;
      const isAhead = steps.slice(index).some((later) => isOurJump(later, step));
      const isForeign = (isAhead && ENDS.test(step.text)) || DROPS.test(step.text);
      // The same in both families is one finding's evidence once.
      if (isForeign) found.set(`${step.table} ${step.chain} ${step.text}`, step);
    }
  }
  return [...found.values()];
}

function isOurJump(step: WalkStep, { table, hook }: WalkStep): boolean {
  return step.table === table && step.hook === hook && step.why !== undefined;
}
