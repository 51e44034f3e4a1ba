import type { CanaryHit, InterfaceFacts, Leg, Path, RunFacts, Sighting } from '../facts/facts.ts';
import {
  couldNotRun,
  decide,
  framesOf,
  holds,
  lackOfPackets,
  lackOfPath,
  refuted,
  shortRef,
} from './evidence.ts';
import { linksBetween } from './places.ts';
import type { Check } from './verdict.ts';

/**
 * No frame between the two nodes may carry the canary in clear, every leg that crosses has to be an
 * encrypted tunnel, and the canary has to be in what it decrypts to. Two positive controls keep the
 * search honest: the canary was found in clear on the app's own link, and frames of the request
 * were recorded between the nodes.
 */
export function checkEncryptedBetween(
  facts: RunFacts,
  path: Path,
  [a, b]: readonly [string, string],
): Check {
  const name = 'encryptedBetween';
  const wanted = `no clear canary between ${a} and ${b}`;
  const links = linksBetween(facts, a, b);
  const leaks = hitsOn(path, links);
  if (leaks.length > 0) {
    const text = `readable between ${a} and ${b}: canary in clear in ${shortRef(leaks[0]!)}`;
    return refuted(name, { text, wanted, seen: 'canary in clear', frames: leaks });
  }
  const lack = lackOfPath(facts, path) ?? lackOfSearch(links, path);
  if (lack !== undefined) return couldNotRun(name, wanted, lack);
  const crossing = path.legs.filter((leg) => sightingsOn(facts, leg, links).length > 0);
  if (crossing.length === 0) {
    const text = `no packet of the request crossed from ${a} to ${b}`;
    return refuted(name, { text, wanted, seen: 'nothing crossed' });
  }
  const plain = crossing.find((leg) => leg.encapsulation === 'plain' || isCleartext(facts, leg));
  if (plain !== undefined) {
    const text = `leg ${plain.number} crosses from ${a} to ${b} in plain`;
    const frames = framesOf(sightingsOn(facts, plain, links));
    return refuted(name, { text, wanted, seen: 'a plain leg', frames });
  }
  return judgeTunnels(facts, path, crossing, { a, b, links, wanted });
}

function judgeTunnels(
  facts: RunFacts,
  path: Path,
  crossing: readonly Leg[],
  { a, b, links, wanted }: Between,
): Check {
  const name = 'encryptedBetween';
  for (const leg of crossing) {
    const lack = lackOfDecryption(facts, path, leg);
    if (lack !== undefined) return couldNotRun(name, wanted, lack);
  }
  const control = path.canary.clear.find((hit) => !isOn(hit, links))!;
  const frames = links.reduce((sum, each) => sum + each.frames, 0);
  const text =
    `encrypted ${a}–${b}: canary in 0 of ${frames} frames ` + `(control: ${shortRef(control)})`;
  const refs = crossing.flatMap((leg) => framesOf(sightingsOn(facts, leg, links)));
  return holds(name, { text, wanted, seen: 'encrypted', frames: [...refs, control] });
}

interface Between {
  readonly a: string;
  readonly b: string;
  readonly links: readonly InterfaceFacts[];
  readonly wanted: string;
}

/** The canary has to be readable between the nodes: the control of the encrypted scenarios. */
export function checkPlainBetween(
  facts: RunFacts,
  path: Path,
  [a, b]: readonly [string, string],
): Check {
  const name = 'plainBetween';
  const wanted = `canary in clear between ${a} and ${b}`;
  const links = linksBetween(facts, a, b);
  const lack = lackOfPackets(facts);
  if (lack !== undefined) return couldNotRun(name, wanted, lack);
  const hits = hitsOn(path, links);
  if (hits.length > 0) {
    const text = `readable ${a}–${b}: canary in clear in ${shortRef(hits[0]!)}`;
    return holds(name, { text, wanted, seen: 'canary in clear', frames: hits });
  }
  const missing = lackOfPath(facts, path) ?? lackOfSearch(links, path);
  if (missing !== undefined) return couldNotRun(name, wanted, missing);
  const crossed = path.legs.flatMap((leg) => sightingsOn(facts, leg, links));
  const text = `not readable between ${a} and ${b}`;
  return decide(name, false, { text, wanted, seen: 'no clear canary', frames: framesOf(crossed) });
}

/** Why searching these links for the canary would prove nothing. */
function lackOfSearch(links: readonly InterfaceFacts[], path: Path): string | undefined {
  if (links.length === 0) return 'a recording of a link between the nodes';
  if (links.every(({ frames }) => frames === 0)) return 'packets on the links between the nodes';
  const clipped = links.find(({ clippedFrames }) => clippedFrames > 0);
  if (clipped !== undefined) {
    return `whole frames: ${clipped.clippedFrames} of ${clipped.netns}/${clipped.name} are clipped`;
  }
  const control = path.canary.clear.some((hit) => !isOn(hit, links));
  return control ? undefined : "the canary in clear on the app's own link (positive control)";
}

/** Why a tunnel's TLS could not be read; undefined when it was decrypted. */
export function lackOfSecrets(facts: RunFacts, { number, connection }: Leg): string | undefined {
  const tls = facts.connections[connection]?.tls;
  if (tls?.state === 'decrypted') return undefined;
  const reason = tls?.reason ?? 'none for it';
  if (tls?.state === 'incomplete') return `all packets of leg ${number} (${reason})`;
  const secrets = tls?.state === 'wrong-keys' ? 'the right TLS secrets' : 'TLS secrets';
  return `${secrets} of leg ${number} (${reason})`;
}

/** Why it is not proven that this tunnel carried the request. */
export function lackOfDecryption(facts: RunFacts, path: Path, leg: Leg): string | undefined {
  const lack = lackOfSecrets(facts, leg);
  if (lack !== undefined) return lack;
  const stream = leg.hbone?.stream.stream;
  const isCarried = path.canary.decrypted.some(
    (each) => each.connection === leg.connection && each.stream === stream,
  );
  const where = leg.encapsulation === 'mtls' ? 'what' : `stream ${stream} of what`;
  return isCarried ? undefined : `the canary in ${where} leg ${leg.number} decrypts to`;
}

/** A tunnel without TLS: its CONNECT stands on the wire for all to read. */
export function isCleartext(facts: RunFacts, leg: Leg): boolean {
  return facts.connections[leg.connection]?.tls?.state === 'cleartext';
}

function hitsOn(path: Path, links: readonly InterfaceFacts[]): readonly CanaryHit[] {
  return path.canary.clear.filter((hit) => isOn(hit, links));
}

function isOn(
  place: { readonly netns: string; readonly interface: string },
  links: readonly InterfaceFacts[],
): boolean {
  return links.some((each) => each.netns === place.netns && each.name === place.interface);
}

function sightingsOn(
  facts: RunFacts,
  leg: Leg,
  links: readonly InterfaceFacts[],
): readonly Sighting[] {
  return (facts.connections[leg.connection]?.sightings ?? []).filter((each) => isOn(each, links));
}
