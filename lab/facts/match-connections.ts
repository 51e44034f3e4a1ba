import type { ConntrackIndex } from './conntrack-index.ts';
import { isTranslated } from './conntrack-index.ts';
import type { Join } from './facts.ts';
import type { Conversation } from './pair-halves.ts';

/** One conversation as one interface saw it, with the place. */
export interface SeenConversation extends Conversation {
  readonly netns: string;
  readonly interface: string;
  readonly file: string;
}

/** The same connection on every interface it crossed, in the order the client's frames did. */
export interface MatchedConnection {
  readonly sightings: readonly SeenConversation[];
  readonly joins: readonly Join[];
}

export interface MatchContext {
  readonly conntrack: ConntrackIndex;
  /** Unix nanoseconds of time 0 of the halves. */
  readonly baseNs: bigint;
  /** `netns/interface` at the other end of a link. */
  readonly peerOf: (netns: string, name: string) => string | undefined;
}

/** Retransmissions of one SYN end within this time (tcp_syn_retries 6: 127 s); a later one is another. */
const SAME_SYN_WITHIN_NS = 130e9;

/**
 * Finds which conversations of different interfaces are one connection. Same addresses, ports and
 * first sequence number: one. Other addresses but the same first sequence number: one when
 * conntrack of a namespace on the way has the translation, or when the first frame also kept its
 * IP id and length. Sequence numbers and ids survive forwarding and NAT.
 */
export function matchConnections(
  seen: readonly SeenConversation[],
  context: MatchContext,
): readonly MatchedConnection[] {
  const groups = new Map<string, SeenConversation[]>();
  for (const each of seen) {
    const key = groupKey(each);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [each]);
    else group.push(each);
  }
  return [...groups.values()]
    .flatMap((group) => splitGroup(group, context))
    .sort((a, b) => startOf(a) - startOf(b));
}

function startOf(connection: MatchedConnection): number {
  return connection.sightings[0]?.forward.firstNs ?? 0;
}

/** What NAT does not change: TCP's first sequence number; size and id of the first datagram. */
function groupKey({ forward, backward }: SeenConversation): string {
  if (forward.protocol === 'tcp' && forward.opens) return `tcp ${forward.firstSequence}`;
  // The SYN took another way; the answer to it tells its number.
  if (forward.protocol === 'tcp' && backward?.syn !== undefined && !backward.opens) {
    return `tcp ${(backward.firstAcknowledgment - 1) >>> 0}`;
  }
  if (forward.protocol === 'tcp') return `open ${forward.source} ${forward.destination}`;
  return `udp ${forward.firstPayloadBytes} ${forward.firstIpId}`;
}

function splitGroup(
  group: readonly SeenConversation[],
  context: MatchContext,
): MatchedConnection[] {
  const ordered = [...group].sort((a, b) => a.forward.firstNs - b.forward.firstNs);
  const open: { members: SeenConversation[]; joins: Join[] }[] = [];
  for (const each of ordered) {
    const found = findHome(open, each, context);
    if (found === undefined) open.push({ members: [each], joins: [] });
    else {
      found.home.members.push(each);
      if (found.join !== undefined) found.home.joins.push(found.join);
    }
  }
  return open.map(({ members, joins }) => ({
    sightings: orderSightings(members, context.peerOf),
    joins,
  }));
}

function findHome(
  open: readonly { readonly members: SeenConversation[]; readonly joins: Join[] }[],
  seen: SeenConversation,
  context: MatchContext,
): { readonly home: (typeof open)[number]; readonly join?: Join } | undefined {
  const near = open.filter((each) => isNear(each.members, seen) && !isTaken(each.members, seen));
  const same = near.find((each) => each.members.some((member) => hasSameTuple(member, seen)));
  if (same !== undefined) return { home: same };
  for (const home of near) {
    for (const member of home.members) {
      const join = joinThroughNat(member, seen, context);
      if (join !== undefined) return { home, join };
    }
  }
  return undefined;
}

function isNear(members: readonly SeenConversation[], seen: SeenConversation): boolean {
  const last = members.at(-1);
  return (
    last !== undefined && Math.abs(seen.forward.firstNs - last.forward.firstNs) < SAME_SYN_WITHIN_NS
  );
}

/** One interface sees one connection once each way and tuple; a second such is another connection. */
function isTaken(members: readonly SeenConversation[], seen: SeenConversation): boolean {
  return members.some(
    (member) =>
      member.netns === seen.netns &&
      member.interface === seen.interface &&
      member.forward.direction === seen.forward.direction &&
      hasSameTuple(member, seen),
  );
}

function hasSameTuple(a: SeenConversation, b: SeenConversation): boolean {
  return a.forward.source === b.forward.source && a.forward.destination === b.forward.destination;
}

function joinThroughNat(
  a: SeenConversation,
  b: SeenConversation,
  context: MatchContext,
): Join | undefined {
  const shown = `${a.forward.source} → ${a.forward.destination} is ${b.forward.source} → ${b.forward.destination}`;
  for (const netns of new Set([b.netns, a.netns])) {
    const translation = context.conntrack.after(
      netns,
      a.forward.protocol,
      a.forward.source,
      a.forward.destination,
      context.baseNs + BigInt(Math.round(a.forward.firstNs)),
    );
    if (translation === undefined || !isTranslated(translation)) continue;
    const { source, destination } = translation.translated;
    if (source === b.forward.source && destination === b.forward.destination) {
      return { evidence: 'conntrack', text: `${shown}: conntrack of ${netns}` };
    }
  }
  const isSameFrame =
    (a.forward.opens || a.forward.protocol === 'udp') &&
    a.forward.firstIpId !== 0 &&
    a.forward.firstIpId === b.forward.firstIpId;
  if (!isSameFrame) return undefined;
  return {
    evidence: 'sequence-number',
    text: `${shown}: first frame kept sequence number and IP id ${a.forward.firstIpId}`,
  };
}

/**
 * Sorts by the time of the client's first frame, then lets topology overrule the clock: a frame
 * leaves one end of a link before it enters at the other (stamps of two processors may disagree).
 */
function orderSightings(
  members: readonly SeenConversation[],
  peerOf: MatchContext['peerOf'],
): readonly SeenConversation[] {
  const ordered = [...members].sort((a, b) => a.forward.firstNs - b.forward.firstNs);
  for (let at = 0; at < ordered.length; at++) {
    const entering = ordered[at];
    if (entering === undefined || entering.forward.direction !== 'in') continue;
    const peer = peerOf(entering.netns, entering.interface);
    const leaving = ordered.findIndex(
      (each, index) =>
        index > at &&
        each.forward.direction === 'out' &&
        `${each.netns}/${each.interface}` === peer &&
        hasSameTuple(each, entering),
    );
    if (leaving > at) ordered.splice(at, 0, ...ordered.splice(leaving, 1));
  }
  return ordered;
}
