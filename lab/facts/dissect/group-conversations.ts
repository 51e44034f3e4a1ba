import type { OpenConnection } from './finish-connections.ts';
import type { Connection, ConnectionHalf } from './types.ts';

/** Sightings of one TCP conversation. */
export type Sightings = readonly [OpenConnection, ...OpenConnection[]];

/**
 * Groups the connections of all interfaces into conversations, ordered by their first frame, and
 * numbers them. Initial sequence numbers are evidence enough: 64 random bits that routers and NAT
 * leave alone, while each proxy makes its own. Without them the tuple must do.
 */
export function groupConversations(connections: readonly OpenConnection[]): Sightings[] {
  const groups: [OpenConnection, ...OpenConnection[]][] = [];
  const bySequence = new Map<number, number[]>();
  const byTuple = new Map<string, number[]>();
  for (const connection of inOrder(connections)) {
    const { initialSequence } = connection.fromClient;
    const candidates =
      initialSequence === undefined
        ? listOf(byTuple, tupleOf(connection))
        : listOf(bySequence, initialSequence);
    const known = candidates.find((group) => isSame(groups[group]![0], connection));
    if (known !== undefined) groups[known]!.push(connection);
    else {
      candidates.push(groups.length);
      groups.push([connection]);
    }
    connection.conversation = known ?? groups.length - 1;
  }
  return groups;
}

function inOrder(connections: readonly OpenConnection[]): readonly OpenConnection[] {
  const baseNs = connections[0]?.firstNs ?? 0n;
  const times = connections.map((connection) => connection.firstNsSince(baseNs));
  if (times.every((time, i) => i === 0 || time >= times[i - 1]!)) return connections;
  const order = [...times.keys()].sort((a, b) => times[a]! - times[b]!);
  return order.map((i) => connections[i]!);
}

function listOf<K>(lists: Map<K, number[]>, key: K): number[] {
  const known = lists.get(key);
  if (known) return known;
  const list: number[] = [];
  lists.set(key, list);
  return list;
}

function tupleOf({ client, server }: OpenConnection): string {
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
  half: (connection: Connection) => ConnectionHalf,
): OpenConnection {
  let best = sightings[0];
  if (sightings.length === 1) return best;
  for (const sighting of sightings)
    if (readable(half(sighting)) > readable(half(best))) best = sighting;
  return best;
}

/** Bytes from the start of the stream up to the first gap. */
function readable({ gaps, streamBytes }: ConnectionHalf): number {
  return gaps[0]?.start ?? streamBytes;
}
