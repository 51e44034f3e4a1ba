import type { Mutation } from './mutation.ts';

interface Reason {
  readonly matches: RegExp;
  readonly text: string;
}

const FIRST_PACKET =
  'Table nat sees only the first packet of a connection; these packets are replies, which ' +
  'conntrack leads back by itself.';

/** What is known of mutations that change nothing here; the first that matches counts. */
const REASONS: readonly Reason[] = [
  { matches: /^nat ISTIO_OUTPUT -d 169\.254\.7\.127.*\| (?:removed|without)/, text: FIRST_PACKET },
  {
    matches: /^nat ISTIO_OUTPUT -p tcp -m mark --mark 0x111\/0xfff -j ACCEPT \| removed/,
    text: FIRST_PACKET,
  },
  {
    matches: /^raw |-j CT --zone 1/,
    text:
      "Zones keep ztunnel's questions apart from the app's only when both have used one port " +
      'towards one server within the time of conntrack (30 s); the probes use ports once.',
  },
  {
    matches: /^ip route .*local/,
    text: 'Another route leads to the same place.',
  },
  {
    matches: /^sysctl/,
    text: 'The era does not rest on it: no probe meets a packet that it decides about.',
  },
];

/** Why nothing was seen, where that is known. */
export function knownReason(mutation: Pick<Mutation, 'id'>): string | undefined {
  return REASONS.find(({ matches }) => matches.test(mutation.id))?.text;
}
