/** Where a client's frame was seen, in order. */
export interface Crossing {
  readonly netns: string;
  readonly direction: 'in' | 'out' | 'loop';
  readonly ttl: number;
  /** A switch: frames cross it below IP, so no netfilter hook of the inet family is walked. */
  readonly isBridge: boolean;
}

/**
 * Traversals of a namespace's netfilter hooks by one direction of a connection. Counted are: a
 * frame that a socket sends (local out), one that is routed through (forward), one that a socket
 * receives (local in). Loopback inside a namespace is two, out and in again, because the frame
 * walks OUTPUT and POSTROUTING and then PREROUTING and INPUT. The switch between nodes is a bridge:
 * a crossing, but no pass.
 */
export function countPasses(crossings: readonly Crossing[]): number {
  let passes = 0;
  let entered: string | undefined;
  for (const { netns, direction, isBridge } of crossings) {
    if (isBridge) continue;
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
