/** Where a client's frame was seen, in order. */
export interface Crossing {
  readonly netns: string;
  readonly direction: 'in' | 'out' | 'loop';
  readonly ttl: number;
  /** A switch: frames cross it below IP, so no netfilter hook of the inet family is walked. */
  readonly isBridge: boolean;
  /** On a bridge that has its own address: the port of `cni0` and `cni0` itself are one step. */
  readonly bridge?: string | undefined;
}

/**
 * Whether this crossing and the one after it are one step into, or out of, a namespace: a port of
 * a bridge and the bridge itself, in either order.
 */
export function isSameStep(
  a: Pick<Crossing, 'netns' | 'direction' | 'bridge'> | undefined,
  b: Pick<Crossing, 'netns' | 'direction' | 'bridge'> | undefined,
): boolean {
  if (a === undefined || b === undefined || a.bridge === undefined) return false;
  return a.netns === b.netns && a.direction === b.direction && a.bridge === b.bridge;
}

/**
 * Traversals of a namespace's netfilter hooks by one direction of a connection. Counted are: a
 * frame that a socket sends (local out), one that is routed through (forward), one that a socket
 * receives (local in). Loopback inside a namespace is two, out and in again, because the frame
 * walks OUTPUT and POSTROUTING and then PREROUTING and INPUT. The switch between nodes is a bridge:
 * a crossing, but no pass. An overlay adds the passes of its outer packets, which are sent and received
 * by the nodes themselves.
 */
export function countPasses(crossings: readonly Crossing[]): number {
  let passes = 0;
  let entered: string | undefined;
  for (const [index, crossing] of crossings.entries()) {
    const { netns, direction, isBridge } = crossing;
    if (isBridge || isSameStep(crossings[index - 1], crossing)) continue;
    if (direction === 'loop') {
      passes += 2;
      continue;
    }
    if (direction === 'in') {
      passes++;
      entered = netns;
      continue;
    }
    // Leaving where it came in is the forward pass that was already counted at the entrance.
    if (entered !== netns) passes++;
    entered = undefined;
  }
  return passes;
}

/** Forwarding steps: each router on the way takes one from the TTL. */
export function countHops(crossings: readonly Crossing[]): number {
  const first = crossings[0];
  const last = crossings.at(-1);
  return first === undefined || last === undefined ? 0 : Math.max(0, first.ttl - last.ttl);
}
