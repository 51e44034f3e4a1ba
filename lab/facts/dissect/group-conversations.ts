import type { OpenConnection } from './finish-connections.ts';
import type { ConnectionHalf } from './types.ts';

/** Sightings of one TCP conversation. */
export type Sightings = readonly [OpenConnection, ...OpenConnection[]];

/**
 * Groups the connections of all interfaces into conversations, ordered by their first frame, and
 * numbers them. Initial sequence numbers are evidence enough: 64 random bits that routers and NAT
 * leave alone, while each proxy makes its own. Without them the tuple must do.
 */
export function groupConversations(connections: readonly OpenConnection[]): Sightings[] {
  const groups: [OpenConnection, ...OpenConnection[]][] = [];
  const byKey = new Map<string, [OpenConnection, ...OpenConnection[]][]>();
  const inOrder = [...connections].sort((a, b) => (a.firstNs < b.firstNs ? -1 : 1));
  for (const connection of inOrder) {
    const key = keyOf(connection);
    const candidates = byKey.get(key) ?? [];
    if (candidates.length === 0) byKey.set(key, candidates);
    const group = candidates.find((sightings) => isSame(sightings[0], connection));
    if (group) group.push(connection);
    else {
      const opened: [OpenConnection] = [connection];
      groups.push(opened);
      candidates.push(opened);
    }
  }
  groups.forEach((group, i) => group.forEach((connection) => (connection.conversation = i)));
  return groups;
}

function keyOf({ fromClient, client, server }: OpenConnection): string {
  if (fromClient.initialSequence !== undefined) return `syn ${fromClient.initialSequence}`;
  return `${client.address} ${client.port} ${server.address} ${server.port}`;
}

function isSame(a: OpenConnection, b: OpenConnection): boolean {
  const ours = a.fromServer.initialSequence;
  const theirs = b.fromServer.initialSequence;
  if (ours !== undefined && theirs !== undefined) return ours === theirs;
  // One side was seen on one of them only, as where packets are refused or dropped on the way.
  return a.client.port === b.client.port;
}

/** The sighting that holds most of what one side sent; of equals the first. */
export function bestSighting(
  sightings: Sightings,
  half: (connection: OpenConnection) => ConnectionHalf,
): OpenConnection {
  let best = sightings[0];
  for (const sighting of sightings)
    if (readable(half(sighting)) > readable(half(best))) best = sighting;
  return best;
}

/** Bytes from the start of the stream up to the first gap. */
function readable({ gaps, streamBytes }: ConnectionHalf): number {
  return gaps[0]?.start ?? streamBytes;
}
