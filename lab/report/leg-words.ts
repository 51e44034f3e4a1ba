import { TUNNEL_KIND_TEXT } from '../../dataplane/tunnels/tunnel.ts';
import { ipOf, splitAddress } from '../facts/address.ts';
import type { Leg, LegEnd, RunFacts, Sighting, Tunnelled } from '../facts/facts.ts';
import { endName } from '../facts/end-name.ts';
import { isSameStep } from '../facts/passes.ts';

/** Who holds a socket: `sleep`, `ztunnel(node1)`, `envoy(sleep)`, `node1`, `outside`. */
export function endText(end: LegEnd): string {
  return endName(end);
}

/** How a leg is wrapped: `plain, inside sleep.demo`, `HBONE stream 1, new tunnel`. */
export function kindOf(leg: Leg): string {
  const inside = leg.from.netns === leg.to.netns ? `, inside ${leg.from.netns}` : '';
  if (leg.encapsulation === 'plain') {
    return `${leg.protocol === 'udp' ? 'plain UDP' : 'plain'}${inside}`;
  }
  if (leg.encapsulation === 'mtls') {
    const kept = leg.reused === undefined ? '' : leg.reused ? ', kept open' : ', new connection';
    return `mTLS of sidecars${kept}${inside}`;
  }
  const stream = `HBONE stream ${leg.hbone?.stream.stream}`;
  const age = leg.reused === undefined ? '' : leg.reused ? ' of an open tunnel' : ', new tunnel';
  return `${stream}${age}${inside}`;
}

/** `Geneve by the kernel's geneve device`, for the head of a result; undefined in other eras. */
export function tunnelKindText({ era, tunnels }: RunFacts): string | undefined {
  if (era !== 'geneve') return undefined;
  return `Geneve by ${tunnels === undefined ? 'devices that nobody told' : TUNNEL_KIND_TEXT[tunnels]}`;
}

/** Marks of what the client of the leg sent, and of what it was answered. */
export function marksText({ marks, replyMarks }: Sighting): string {
  const sent = marks.map(hex).join(' ');
  const answered = replyMarks.map(hex).join(' ');
  return [sent && `mark ${sent}`, answered && `reply ${answered}`].filter(Boolean).join(', ');
}

/**
 * What was inside an overlay where a leg was seen, with the outer addresses, the VNI and the marks,
 * and how the rest passed: one text for what the client sent, one for what it was answered.
 */
export function tunnelTexts({ tunnel, replyTunnel }: Sighting): readonly string[] {
  return [
    ...(tunnel === undefined ? [] : [tunnelText('sent', tunnel)]),
    ...(replyTunnel === undefined ? [] : [tunnelText('replies', replyTunnel)]),
  ];
}

function tunnelText(which: string, tunnel: Tunnelled): string {
  const { layers, frames, bareFrames, isOnlySyn, firstFrame, marks, bareMarks } = tunnel;
  const all = frames + bareFrames;
  const syn = isOnlySyn ? (frames === 1 ? ', the SYN,' : ', SYNs,') : '';
  const inside = layers.map(
    ({ kind, vni, source, destination }) => `${kind} VNI ${hex(vni)} ${source} → ${destination}`,
  );
  const rest = bareFrames === 0 ? '' : `; ${bareFrames} bare${withMarks(bareMarks)}`;
  return (
    `${which}: ${frames} of ${all} frames${syn} inside ${inside.join(' inside ')} ` +
    `#${firstFrame}${withMarks(marks)}${rest}`
  );
}

function withMarks(marks: readonly number[]): string {
  return marks.length === 0 ? '' : `, mark ${marks.map(hex).join(' ')}`;
}

/** A mark as people write it: `0x539`. */
export function hex(mark: number): string {
  return `0x${mark.toString(16)}`;
}

/** Which netfilter pass ends at this sighting; the same counting as `facts/passes.ts`. */
export function passText(facts: RunFacts, sightings: readonly Sighting[], index: number): string {
  const here = sightings[index]!;
  const previous = sightings[index - 1];
  const isOneWith = (other: Sighting | undefined): boolean =>
    isSameStep(crossing(facts, other), crossing(facts, here));
  if (isOneWith(previous)) return 'bridge';
  if (isSwitch(facts, here)) return 'switch';
  if (here.direction === 'loop') return 'output, input';
  if (here.direction === 'out') {
    return previous?.netns === here.netns && previous.direction === 'in' ? 'forward' : 'output';
  }
  const next = sightings.slice(index + 1).find((each) => !isOneWith(each));
  return next?.netns === here.netns && next.direction === 'out' ? '' : 'input';
}

function crossing({ interfaces }: RunFacts, sighting: Sighting | undefined) {
  if (sighting === undefined) return undefined;
  const { netns, interface: name } = sighting;
  const on = interfaces.find((each) => each.netns === netns && each.name === name);
  return { ...sighting, bridge: on?.bridge };
}

function isSwitch(facts: RunFacts, { netns }: Sighting): boolean {
  return facts.interfaces.some((each) => each.netns === netns && each.role === 'fabric');
}

/** Microseconds since the last sighting before this one at which the request was captured. */
export function sinceText(leg: Leg, index: number): string {
  const here = leg.passages[index];
  const before = leg.passages.slice(0, index).findLast((each) => each !== undefined);
  if (here === undefined || before === undefined) return '';
  const us = Number(BigInt(here.timeNs) - BigInt(before.timeNs)) / 1000;
  return `${us < 0 ? '−' : '+'}${us === 0 ? '0' : Math.abs(us).toFixed(us < 100 ? 1 : 0)} µs`;
}

/**
 * What NAT made of the addresses between the sighting before this one and it; before the first one,
 * in the client's own namespace. One text for each change.
 */
export function translationsBefore(
  { from }: Leg,
  sightings: readonly Sighting[],
  index: number,
): readonly string[] {
  const here = sightings[index];
  const previous = sightings[index - 1];
  if (here === undefined) return [];
  if (previous === undefined) {
    return index > 0 || from.address === here.client
      ? []
      : [`source ${from.address} is now ${shortest(from.address, here.client)}`];
  }
  const changes: string[] = [];
  if (previous.client !== here.client) {
    changes.push(`source ${previous.client} is now ${shortest(previous.client, here.client)}`);
  }
  if (previous.server !== here.server) {
    changes.push(`destination ${previous.server} is now ${shortest(previous.server, here.server)}`);
  }
  return changes;
}

/** A REDIRECT in the namespace of the server happens behind the last interface. */
export function translationsInside({ to }: Leg, last: Sighting | undefined): readonly string[] {
  if (last === undefined || last.server === to.address) return [];
  return [`destination ${last.server} is now ${shortest(last.server, to.address)}`];
}

function shortest(before: string, after: string): string {
  return ipOf(before) === ipOf(after) ? `port ${splitAddress(after).port}` : after;
}
