import { splitAddress } from '../facts/address.ts';
import { endName, podOfNetns } from '../facts/end-name.ts';
import type { InterfaceFacts, Leg, LegEnd, Place, RunFacts } from '../facts/facts.ts';

/** Whether a word of an expectation names this place: `sleep`, `demo/sleep`, `sleep.demo`, `node1`. */
function isNamed(place: Place, word: string): boolean {
  if (place.kind !== 'pod') return place.name === word;
  return [place.name, place.workload].some(
    (name) =>
      name === word ||
      `${place.namespace}/${name}` === word ||
      `${name}.${place.namespace}` === word,
  );
}

/** Addresses a word in an expectation stands for; an IP address stands for itself. */
export function addressesOf(facts: RunFacts, word: string): readonly string[] {
  const found = facts.places.filter((place) => isNamed(place, word));
  return found.length === 0 ? [word] : found.flatMap(({ addresses }) => addresses);
}

/** Name of the place that has this address; the address itself when nobody has it. */
export function nameOf(facts: RunFacts, ip: string): string {
  return facts.places.find((place) => place.addresses.includes(ip))?.name ?? ip;
}

/**
 * Every interface a frame passes from one node to the other: their uplinks and the ports and
 * bridges of the switch between them.
 */
export function linksBetween(facts: RunFacts, a: string, b: string): readonly InterfaceFacts[] {
  const isEnd = (netns: string): boolean => netns === a || netns === b;
  const onSwitch = facts.interfaces.filter(({ role, name }) => role === 'fabric' && name !== 'lo');
  const ports = onSwitch.filter(({ peer }) => peer === undefined || isEnd(netnsOf(peer)));
  const uplinks = new Set(onSwitch.map(({ peer }) => peer));
  const ends = facts.interfaces.filter(
    ({ netns, name, role }) => role === 'node' && isEnd(netns) && uplinks.has(`${netns}/${name}`),
  );
  return [...ends, ...ports];
}

function netnsOf(place: string): string {
  return place.slice(0, place.lastIndexOf('/'));
}

/** One leg in the notation of topologies: `ztunnel(node1) -> httpbin:15008 hbone`. */
export function legText(facts: RunFacts, leg: Leg): string {
  const to =
    leg.encapsulation !== 'plain' || portOf(leg.to) === 15006
      ? podOf(facts, leg.to)
      : endName(leg.to);
  const port = portOf(leg.to);
  return `${endName(leg.from)} -> ${to}:${port}${leg.encapsulation === 'plain' ? '' : ` ${leg.encapsulation}`}`;
}

/** The port a leg arrived at: that of the listener, whatever the socket calls itself. */
export function portOf(end: LegEnd): number {
  return end.listener ?? splitAddress(end.address).port;
}

/** Whether a leg is the one that the notation's words name; a word may be the pod or the proxy. */
export function isEnd(
  facts: RunFacts,
  end: LegEnd,
  name: string,
  node: string | undefined,
): boolean {
  // In brackets stands the node of a ztunnel, the pod of a sidecar.
  if (name === 'envoy') {
    return end.kind === 'envoy' && (node === undefined || podOfNetns(end.netns) === node);
  }
  if (node !== undefined && end.node !== node) return false;
  if (name === 'ztunnel') return end.kind === 'ztunnel';
  if (end.netns === name) return true;
  const { ip } = splitAddress(end.address);
  // A ztunnel in a netns of its own takes connections under the addresses of its pods.
  const isAt = (place: Place): boolean =>
    place.netns === end.netns || (end.kind === 'ztunnel' && place.addresses.includes(ip));
  return facts.places.some((place) => isNamed(place, name) && isAt(place));
}

function podOf(facts: RunFacts, end: LegEnd): string {
  const { ip } = splitAddress(end.address);
  const place =
    facts.places.find(({ netns }) => netns === end.netns) ??
    facts.places.find(({ addresses, kind }) => kind === 'pod' && addresses.includes(ip));
  return place?.name ?? end.name;
}
