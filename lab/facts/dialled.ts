import type { ConntrackIndex } from './conntrack-index.ts';
import type { Connection } from './facts.ts';

/** What the client's own socket calls its two ends: before any NAT in its own netns. */
export function dialled(
  connection: Connection,
  conntrack: ConntrackIndex,
): { readonly source: string; readonly destination: string } {
  const first = connection.sightings[0];
  if (first === undefined) return { source: connection.client, destination: connection.server };
  if (first.repliesFrom !== undefined) {
    return { source: first.repliesTo ?? first.client, destination: first.repliesFrom };
  }
  const before = conntrack.before(
    first.netns,
    connection.protocol,
    first.client,
    first.server,
    BigInt(connection.startedNs),
  );
  return before?.original ?? { source: first.client, destination: first.server };
}
