import { NFT_FAMILY, NFT_TABLE_PREFIX } from '../../dataplane/redirect/nft-rule.ts';
import { inPlace } from '../world/in-place.ts';
import type { Lab } from '../world/lab.ts';
import { enrolledPod, needsRulesInPods } from './in-pod.ts';
import type { PodFault } from './fault.ts';
import { appendAgain, refillTables, type SavedTables, saveTables } from './tables.ts';

/** Rules were added by a program that did not look what is there. */
export const duplicatedRules: PodFault = {
  name: 'duplicated-rules',
  kind: 'pod',
  title: "Every rule of the redirect stands twice in the pod's kernel",
  seen:
    'Nothing, until the pod leaves the mesh or is enrolled anew: an agent that deletes each rule ' +
    'once leaves the second, and loading them on top fails ("line 2 failed: Chain already exists").',
  field: 'A pod is added twice, or by two agents, or after an upgrade: istio/istio#56692, #58353.',
  refusal: needsRulesInPods,
  suits: enrolledPod,
  async prepare({ lab, at: { pod } }) {
    if (lab.plan.era === 'inpod-nft') return { nft: await ownTables(lab, pod.netns) };
    return { ...(await saveTables(lab, pod.netns, ['nat', 'mangle', 'raw'])) };
  },
  async apply({ lab, at: { pod } }, saved) {
    const { nft } = saved;
    // Of chains that are there, loading a listing appends the rules.
    if (Array.isArray(nft)) await inPlace(lab, pod.netns, ['nft', '-f', '-'], nft.join('\n'));
    else await appendAgain(lab, pod.netns, saved as unknown as SavedTables);
  },
  async mend({ lab, at: { pod } }, saved) {
    const { nft } = saved;
    if (!Array.isArray(nft)) {
      await refillTables(lab, pod.netns, saved as unknown as SavedTables);
      return;
    }
    const flush = (text: string): string => `flush ${/^table \S+ \S+/.exec(text)?.[0] ?? ''}\n`;
    const texts = (nft as readonly string[]).map((text) => `${flush(text)}${text}\n`);
    await inPlace(lab, pod.netns, ['nft', '-f', '-'], texts.join(''));
  },
};

async function ownTables(lab: Lab, netns: string): Promise<readonly string[]> {
  const listed = await inPlace(lab, netns, ['nft', 'list', 'tables', NFT_FAMILY]);
  const ours = listed.split('\n').filter((line) => line.includes(` ${NFT_TABLE_PREFIX}`));
  return Promise.all(
    ours.map((line) => inPlace(lab, netns, ['nft', 'list', ...(line.split(' ') as [string])])),
  );
}
