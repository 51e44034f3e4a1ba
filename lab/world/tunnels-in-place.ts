import { closeNetns, openNetns } from '../../dataplane/kernel/netns.ts';
import { type FoundTunnel, listTunnels } from '../../dataplane/tunnels/list-tunnels.ts';
import { findParty } from '../plan/names.ts';
import type { Lab } from './lab.ts';
import { netnsPath, seenFromOutside } from './paths.ts';

/** The Geneve tunnels in a place of a running lab, and how they are made, as the kernel tells it. */
export function tunnelsInPlace(lab: Lab, place: string): readonly FoundTunnel[] {
  const netns = openNetns(seenFromOutside(lab, netnsPath(findParty(lab.plan, place).netns)));
  try {
    return listTunnels(netns);
  } finally {
    closeNetns(netns);
  }
}
