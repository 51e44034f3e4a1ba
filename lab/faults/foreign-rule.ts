import type { Plan } from '../plan/plan.ts';
import { inPlace } from '../world/in-place.ts';
import type { Lab } from '../world/lab.ts';
import { enrolledPod, needsRulesInPods } from './in-pod.ts';
import type { PodFault } from './fault.ts';
import { familyPrograms } from './tables.ts';

const RULE = [
  'OUTPUT',
  ...['-p', 'tcp', '-m', 'comment', '--comment', 'allow all outgoing TCP', '-j', 'ACCEPT'],
] as const;

/** Somebody's rule stands before ours and ends the walk through the table. */
export const foreignRule: PodFault = {
  name: 'foreign-rule',
  kind: 'pod',
  title: "A foreign rule that accepts all TCP stands ahead of Istio's in the pod's table nat",
  seen:
    'Requests answer 200 in plain text, round ztunnel; a server that wants mTLS refuses them. All ' +
    'rules of Istio are there, as the agent checks them.',
  field: 'Rules of Istio are skipped because others come first: istio/istio#56414.',
  refusal,
  suits: enrolledPod,
  prepare: async () => ({}),
  async apply({ lab, at: { pod } }) {
    for (const program of familyPrograms(lab.plan)) {
      await inPlace(lab, pod.netns, [program, '-w', '10', '-t', 'nat', '-I', ...RULE]);
    }
  },
  async mend({ lab, at: { pod } }) {
    for (const program of familyPrograms(lab.plan)) {
      if (!(await isThere(lab, pod.netns, program))) continue;
      await inPlace(lab, pod.netns, [program, '-w', '10', '-t', 'nat', '-D', ...RULE]);
    }
  },
};

function refusal(plan: Plan): string | undefined {
  if (plan.era !== 'inpod-nft') return needsRulesInPods(plan);
  return (
    "what a rule of another table accepts goes on to Istio's chains of nftables all the same: " +
    'only a chain of one table can be ended'
  );
}

async function isThere(lab: Lab, netns: string, program: string): Promise<boolean> {
  const check = [program, '-w', '10', '-t', 'nat', '-C', ...RULE] as const;
  return inPlace(lab, netns, check).then(
    () => true,
    () => false,
  );
}
