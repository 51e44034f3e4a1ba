import { NFT_NAT_TABLE, NFT_FAMILY } from '../../dataplane/redirect/nft-rule.ts';
import { inPlace } from '../world/in-place.ts';
import { enrolledPod, needsRulesInPods } from './in-pod.ts';
import type { PodFault } from './fault.ts';
import { iptablesOf, refillTables, type SavedTables, saveTables } from './tables.ts';

const NFT_TABLE = [NFT_FAMILY, NFT_NAT_TABLE] as const;

/** Another program flushed the table nat of one pod. */
export const rulesMissing: PodFault = {
  name: 'rules-missing',
  kind: 'pod',
  title: 'The table nat of one pod was flushed: rules of the redirect are missing',
  seen:
    'Requests answer 200 as before, but travel in plain text, round ztunnel; a server that wants ' +
    'mTLS refuses them. Nothing is logged.',
  field:
    'A firewall script or another CNI plugin flushes what it takes for its own; istio/istio#60882.',
  refusal: needsRulesInPods,
  suits: enrolledPod,
  async prepare({ lab, at: { pod } }) {
    if (lab.plan.era !== 'inpod-nft') return { ...(await saveTables(lab, pod.netns, ['nat'])) };
    return { nft: await inPlace(lab, pod.netns, ['nft', 'list', 'table', ...NFT_TABLE]) };
  },
  async apply({ lab, at: { pod } }) {
    if (lab.plan.era === 'inpod-nft') {
      await inPlace(lab, pod.netns, ['nft', 'flush', 'table', ...NFT_TABLE]);
      return;
    }
    await iptablesOf(lab, pod.netns, ['-t', 'nat', '-F']);
  },
  async mend({ lab, at: { pod } }, saved) {
    const { nft } = saved;
    if (typeof nft !== 'string') {
      await refillTables(lab, pod.netns, saved as unknown as SavedTables);
      return;
    }
    const text = `flush table ${NFT_TABLE.join(' ')}\n${nft}`;
    await inPlace(lab, pod.netns, ['nft', '-f', '-'], text);
  },
};
