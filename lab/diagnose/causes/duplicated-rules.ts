import type { Evidence } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { nameOf, rulesStateOf, showRule, someOf, wishedPods } from '../pod-facts.ts';

/** Enrolled pods with more rules in Istio's chains than it wants: twice the same, or others. */
export function findDuplicatedRules(evidence: Evidence): readonly Finding[] {
  return wishedPods(evidence).flatMap((pod): readonly Finding[] => {
    const { extra, present } = rulesStateOf(pod);
    if (extra.length === 0 || present !== 'all') return [];
    const at = nameOf(pod);
    return [
      {
        cause: 'duplicated-rules',
        at,
        text: `${extra.length} rules of the redirect stand more often in the pod's kernel than wanted`,
        effect:
          'Nothing as long as the pod stays in the mesh; leaving it, or loading the rules anew, may fail or leave some.',
        evidence: someOf(extra.map((rule) => `too many  ${showRule(rule)}`)),
        mend:
          `Let the agent load them anew: npm run lab -- enrol ${at}. In a cluster: restart the pod; ` +
          'an agent since 1.29 repairs it at start.',
      },
    ];
  });
}
