import type { Mutation } from './mutation.ts';

interface Reason {
  readonly matches: RegExp;
  readonly text: string;
}

const FIRST_PACKET =
  'Table nat sees only the first packet of a connection; these packets are replies, which ' +
  'conntrack leads back by itself.';

const ZONES =
  "Zones keep ztunnel's questions apart from the app's only when both have used one port " +
  'towards one server within the time of conntrack (30 s); the probes use ports once.';

const IN_POD: readonly Reason[] = [
  { matches: /^nat ISTIO_OUTPUT -d 169\.254\.7\.127.*\| (?:removed|without)/, text: FIRST_PACKET },
  {
    matches: /^nat ISTIO_OUTPUT -p tcp -m mark --mark 0x111\/0xfff -j ACCEPT \| removed/,
    text: FIRST_PACKET,
  },
  { matches: /^istio-ambient-nat istio-output .*daddr 169\.254\.7\.127/, text: FIRST_PACKET },
  { matches: /^istio-ambient-nat istio-output .*== 0x111 .*accept \| removed/, text: FIRST_PACKET },
  { matches: /^raw |-j CT --zone 1|^istio-ambient-raw /, text: ZONES },
];

const GENEVE: readonly Reason[] = [
  {
    matches: /-i istio(?:in|out) -j (?:MARK|RETURN).*\| removed/,
    text: 'Nothing but ARP comes back out of the tunnels: ztunnel answers by its own link.',
  },
  {
    matches: /--dport 6081 -j RETURN \| removed/,
    text:
      'Outer packets are made on the node and meet OUTPUT, not PREROUTING; those of ztunnel ' +
      '(answers to ARP) are left alone by the rules below, too.',
  },
  {
    matches: /\/accept_local \| = 0/,
    text: 'No packet arrives with an address of the node itself as source.',
  },
  {
    matches: /\/default\/rp_filter/,
    text: 'It counts for links that are made from now on; this node makes none.',
  },
  {
    matches: /^ztunnel\/\S+ ip route .* table 10[12] /,
    text: 'No policy rule leads to tables 101 and 102 of ztunnel: they served marks of 2022.',
  },
  { matches: /mangle POSTROUTING -j ztunnel-POSTROUTING/, text: 'The chain is empty.' },
];

const EVERY_ERA: readonly Reason[] = [
  { matches: /^ip route .*local/, text: 'Another route leads to the same place.' },
  {
    matches: /sysctl/,
    text: 'The era does not rest on it: no probe meets a packet that it decides about.',
  },
];

/** Why nothing was seen, where that is known; the first that matches counts. */
export function knownReason(mutation: Pick<Mutation, 'id'>): string | undefined {
  const reasons = [...IN_POD, ...GENEVE, ...EVERY_ERA];
  return reasons.find(({ matches }) => matches.test(mutation.id))?.text;
}
