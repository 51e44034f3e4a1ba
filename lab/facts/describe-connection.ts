import { joinAddress } from './address.ts';
import type { Connection, Sighting, TlsFacts, Tunnelled } from './facts.ts';
import { LISTED_FRAMES, type HalfFlow, type WrappedFrames } from './half-flow.ts';
import type { MatchedConnection, SeenConversation } from './match-connections.ts';
import type { NetnsMap } from './netns-map.ts';
import { countHops, countPasses } from './passes.ts';

export interface DescribeOptions {
  readonly id: number;
  readonly baseNs: bigint;
  readonly map: NetnsMap;
  readonly tls?: TlsFacts;
}

/** Turns a matched connection into the pure data of the facts. */
export function describeConnection(
  matched: MatchedConnection,
  { id, baseNs, map, tls }: DescribeOptions,
): Connection {
  const sightings = matched.sightings.map((each) => describeSighting(each, baseNs));
  const [first] = matched.sightings;
  if (first === undefined) throw new RangeError('Cannot describe a connection without sightings');
  const crossings = matched.sightings.map(({ netns, interface: name, forward }) => ({
    netns,
    bridge: map.bridgeOf(netns, name),
    direction: forward.direction,
    ttl: forward.firstTtl,
    isBridge: map.roleOf(netns) === 'fabric',
  }));
  return {
    id,
    protocol: first.forward.protocol,
    client: first.forward.source,
    server: first.forward.destination,
    sightings,
    joins: matched.joins,
    startedNs: sightings[0]?.firstNs ?? '0',
    endedNs: latest(sightings.map((each) => each.lastNs)),
    end: endOf(first),
    bytesSent: first.forward.payloadBytes,
    bytesReceived: first.backward?.payloadBytes ?? 0,
    hops: countHops(crossings),
    passes: countPasses(crossings),
    ...(tls && { tls }),
  };
}

function describeSighting(seen: SeenConversation, baseNs: bigint): Sighting {
  const { forward, backward } = seen;
  const numbers = mergeSorted(forward.firstFrames, backward?.firstFrames ?? [], LISTED_FRAMES);
  const lastFrame = Math.max(forward.lastFrame, backward?.lastFrame ?? 0);
  return {
    netns: seen.netns,
    interface: seen.interface,
    file: seen.file,
    direction: forward.direction,
    client: forward.source,
    server: forward.destination,
    ...(backward && backward.source !== forward.destination && { repliesFrom: backward.source }),
    ...(backward && backward.destination !== forward.source && { repliesTo: backward.destination }),
    ttl: forward.firstTtl,
    ...(backward && { replyTtl: backward.firstTtl }),
    marks: ascending(forward.marks),
    replyMarks: ascending(backward?.marks ?? new Set()),
    ...(forward.wrapped && { tunnel: describeTunnel(forward, forward.wrapped) }),
    ...(backward?.wrapped && { replyTunnel: describeTunnel(backward, backward.wrapped) }),
    firstNs: unixNs(baseNs, forward.firstNs),
    lastNs: unixNs(baseNs, Math.max(forward.lastNs, backward?.lastNs ?? 0)),
    frames: forward.frameCount + (backward?.frameCount ?? 0),
    bytes: forward.bytes + (backward?.bytes ?? 0),
    firstFrame: numbers[0] ?? 0,
    lastFrame,
    frameNumbers: numbers,
  };
}

function describeTunnel(half: HalfFlow, wrapped: WrappedFrames): Tunnelled {
  return {
    layers: wrapped.layers.map(
      ({ source, sourcePort, destination, destinationPort, ...layer }) => ({
        ...layer,
        source: joinAddress(source, sourcePort),
        destination: joinAddress(destination, destinationPort),
      }),
    ),
    frames: wrapped.frameCount,
    bareFrames: half.frameCount - wrapped.frameCount,
    isOnlySyn: wrapped.isOnlySyn,
    firstFrame: wrapped.firstFrame,
    marks: ascending(wrapped.marks),
    bareMarks: ascending(half.bareMarks),
  };
}

/** How it ended, judged where the client is: the only place that sees all the client saw. */
function endOf({ forward, backward }: SeenConversation): Connection['end'] {
  if (forward.protocol === 'udp') return backward === undefined ? 'unanswered' : 'datagrams';
  if (backward === undefined) return 'unanswered';
  if (backward.refuses) return 'refused';
  const halves: readonly HalfFlow[] = [forward, backward];
  if (halves.every((each) => each.hasFin)) return 'closed';
  return halves.some((each) => each.hasRst) ? 'reset' : 'open';
}

function mergeSorted(a: readonly number[], b: readonly number[], limit: number): number[] {
  const merged: number[] = [];
  let i = 0;
  let j = 0;
  while (merged.length < limit && (i < a.length || j < b.length)) {
    const takesA = j >= b.length || (i < a.length && (a[i] ?? 0) < (b[j] ?? 0));
    merged.push((takesA ? a[i++] : b[j++]) ?? 0);
  }
  return merged;
}

function ascending(values: ReadonlySet<number>): number[] {
  return [...values].sort((a, b) => a - b);
}

/** Unix nanoseconds as decimal text, of a time since the recording began. */
export function unixNs(baseNs: bigint, sinceNs: number): string {
  return (baseNs + BigInt(Math.round(sinceNs))).toString();
}

function latest(times: readonly string[]): string {
  return times.reduce((best, each) => (BigInt(each) > BigInt(best) ? each : best), '0');
}
