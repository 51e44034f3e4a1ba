import { splitAddress } from '../facts/address.ts';
import type { RunFacts, Sighting, Tunnelled } from '../facts/facts.ts';
import { framesOf } from '../judge/evidence.ts';
import { nameOf } from '../judge/places.ts';
import type { BaselineFact } from './baseline.ts';
import { stableAddress } from './stable-address.ts';

/**
 * Where a connection was seen, in the order its client's frames went: direction, TTL, marks of both
 * ways, what NAT changed since the place before, and the overlay around it.
 */
export function describeSightings(
  facts: RunFacts,
  sightings: readonly Sighting[],
): readonly BaselineFact[] {
  const times = new Map<string, number>();
  return sightings.map((sighting, index) => {
    const place = `${sighting.netns}/${sighting.interface}`;
    const time = (times.get(place) ?? 0) + 1;
    times.set(place, time);
    return {
      key: time === 1 ? place : `${place} (${time})`,
      value: describe(facts, sighting, sightings[index - 1]),
      frames: framesOf([sighting]),
    };
  });
}

function describe(facts: RunFacts, sighting: Sighting, before: Sighting | undefined): string {
  const { direction, ttl, client, server, repliesFrom, tunnel, replyTunnel } = sighting;
  return [
    `${direction} ttl ${ttl} marks ${hexes(sighting.marks)} / ${hexes(sighting.replyMarks)}`,
    ...(before && ipOf(before.client) !== ipOf(client)
      ? [`now from ${nameOf(facts, ipOf(client))}`]
      : []),
    ...(before && before.server !== server ? [`now to ${stableAddress(facts, server)}`] : []),
    ...(repliesFrom === undefined ? [] : [`replies from ${stableAddress(facts, repliesFrom)}`]),
    ...(tunnel === undefined ? [] : [describeTunnel(facts, 'inside', tunnel)]),
    ...(replyTunnel === undefined ? [] : [describeTunnel(facts, 'replies inside', replyTunnel)]),
  ].join(', ');
}

function describeTunnel(facts: RunFacts, word: string, tunnel: Tunnelled): string {
  const layers = tunnel.layers.map(({ kind, vni, protocol, optionBytes, source, destination }) => {
    const options = optionBytes === 0 ? '' : ` with ${optionBytes} bytes of options`;
    const ends = `${nameOf(facts, ipOf(source))} -> ${stableAddress(facts, destination)}`;
    return `${kind} vni ${vni} protocol 0x${protocol.toString(16)}${options} ${ends}`;
  });
  const what = tunnel.isOnlySyn ? 'the SYN' : tunnel.bareFrames === 0 ? 'all' : 'some frames';
  const bare =
    tunnel.bareFrames === 0 ? '' : `, the others bare with marks ${hexes(tunnel.bareMarks)}`;
  return `${word} ${layers.join(' in ')}: ${what} with marks ${hexes(tunnel.marks)}${bare}`;
}

function ipOf(address: string): string {
  return splitAddress(address).ip;
}

function hexes(marks: readonly number[]): string {
  return marks.map((mark) => `0x${mark.toString(16)}`).join(' ') || '-';
}
