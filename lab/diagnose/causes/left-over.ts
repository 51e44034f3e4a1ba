import type { Evidence, PodEvidence } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { nameOf, nodeOf, someOf } from '../pod-facts.ts';
import { strangersOf } from './wrong-netns.ts';

/** Pods outside the mesh with rules of it: of an agent that did not clean up. */
export function findLeftOver(evidence: Evidence): readonly Finding[] {
  return evidence.pods.flatMap((pod): readonly Finding[] => {
    const { leftovers } = pod.rules;
    if (pod.isWished || leftovers.length === 0 || isStranger(evidence, pod)) return [];
    const at = nameOf(pod);
    return [
      {
        cause: 'rules-left-over',
        at,
        text: 'The pod is not in the mesh, but rules of the redirect are in its kernel',
        effect: 'Its connections are refused: the rules send them to ports where nobody listens.',
        evidence: someOf(leftovers.map((line) => `leftover  ${line}`)),
        mend: `Enrol it and let it leave again (npm run lab -- enrol ${at}, leave ${at}), or restart the pod.`,
      },
    ];
  });
}

/** Its namespace is held under another's name, which is a finding of its own. */
function isStranger(evidence: Evidence, pod: PodEvidence): boolean {
  return strangersOf(evidence, nodeOf(evidence, pod)).includes(pod);
}
