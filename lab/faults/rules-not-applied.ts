import { deleteRulesText } from '../../dataplane/agent/delete-rules.ts';
import { NFT_FAMILY, NFT_TABLE_PREFIX } from '../../dataplane/redirect/nft-rule.ts';
import { parseSave } from '../../dataplane/redirect/parse-save.ts';
import { podRules } from '../../dataplane/redirect/pod-rules.ts';
import { ipArguments } from '../../dataplane/redirect/routing.ts';
import { hasIpv6 } from '../plan/families.ts';
import { inPlace } from '../world/in-place.ts';
import type { Lab } from '../world/lab.ts';
import { agentOf } from './agent-of.ts';
import { enrolledPod, needsRulesInPods } from './in-pod.ts';
import type { PodFault } from './fault.ts';
import { deleteEmptyTables, familyPrograms } from './tables.ts';

const TIMEOUT_MS = 15_000;

/** Half-enrolled the other way round: ztunnel serves the pod, and no rule sends it anything. */
export const rulesNotApplied: PodFault = {
  name: 'rules-not-applied',
  kind: 'pod',
  title: 'Half-enrolled: ztunnel listens in the pod, but there are no rules in its kernel',
  seen:
    'Requests answer 200 in plain text, round ztunnel, as after a reboot of the node; HBONE to the ' +
    'pod still works. A server that wants mTLS refuses it.',
  field: 'After a reboot the agent finds its pods, but not their rules: istio/istio#60882, #55913.',
  refusal: needsRulesInPods,
  suits: enrolledPod,
  prepare: async () => ({}),
  async apply({ lab, at: { pod } }) {
    if (lab.plan.era === 'inpod-nft') await deleteTables(lab, pod.netns);
    else await deleteChains(lab, pod.netns);
    const { era, dnsCapture } = lab.plan;
    for (const entry of podRules({ era, dnsCapture, ipv6: hasIpv6(lab.plan) }).routing) {
      await inPlace(lab, pod.netns, ['ip', ...ipArguments(entry, 'del')]);
    }
  },
  async mend({ lab, at: { pod } }) {
    await deleteEmptyTables(lab, pod.netns);
    await agentOf(lab, pod.node).reconcile({ signal: AbortSignal.timeout(TIMEOUT_MS) });
  },
};

async function deleteChains(lab: Lab, netns: string): Promise<void> {
  for (const program of familyPrograms(lab.plan)) {
    const text = deleteRulesText(parseSave(await inPlace(lab, netns, [`${program}-save`])));
    await inPlace(lab, netns, [`${program}-restore`, '--noflush', '-w', '10'], text);
  }
}

async function deleteTables(lab: Lab, netns: string): Promise<void> {
  const listed = await inPlace(lab, netns, ['nft', 'list', 'tables', NFT_FAMILY]);
  const ours = listed.split('\n').filter((line) => line.includes(` ${NFT_TABLE_PREFIX}`));
  const text = ours.map((line) => `delete ${line}\n`).join('');
  await inPlace(lab, netns, ['nft', '-f', '-'], text);
}
