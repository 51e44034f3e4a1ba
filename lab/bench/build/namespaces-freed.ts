import { setTimeout as sleep } from 'node:timers/promises';
import { closeNetns, createNetns } from '../../../dataplane/kernel/netns.ts';
import { NetlinkSocket } from '../../../dataplane/kernel/netlink.ts';
import { findLink } from '../../../dataplane/kernel/rtnetlink-list.ts';
import { createVeth } from '../../../dataplane/kernel/rtnetlink.ts';

const TIMEOUT_MS = 60_000;
const LINK = 'freed';

/**
 * Resolves when the kernel has taken apart every network namespace that ended before the call. It
 * does so in the order of their ends (net/core/net_namespace.c, `cleanup_net`): one more is made
 * and ended here, and the far end of its link goes when its turn comes.
 */
export async function untilNamespacesFreed(): Promise<void> {
  const home = createNetns();
  try {
    using route = new NetlinkSocket({ protocol: 'route', netns: home });
    const last = createNetns();
    route.request([createVeth({ name: LINK }, { name: LINK, netns: last })]);
    closeNetns(last);
    const deadline = performance.now() + TIMEOUT_MS;
    while (findLink(route, LINK) !== undefined) {
      if (performance.now() > deadline) throw new Error('The kernel frees no namespaces any more');
      await sleep(1);
    }
  } finally {
    closeNetns(home);
  }
}
