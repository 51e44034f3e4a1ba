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
  {
    matches: /saddr 169\.254\.7\.127 .*\| without meta l4proto/,
    text: 'Nothing but probes comes from this address.',
  },
  {
    matches: /15006 \| without (?:! -d 127|ip daddr != 127|.*0x539)/,
    text: 'It comes over lo, and table nat settled it in OUTPUT already.',
  },
  {
    matches: /15053 \| without (?:! -o lo|! -d 127|oifname|ip daddr != 127)/,
    text: 'No probe asks a server on 127.0.0.1.',
  },
  {
    matches: /dport 53.*15053 \| without .*0x539/,
    text: 'ztunnel asks the upstream server by UDP in these probes.',
  },
  {
    matches: /0x111.*\b(?:ACCEPT|accept) \| without (?:-p tcp|meta l4proto tcp)/,
    text: 'Only TCP bears this mark.',
  },
  {
    matches: /(?:-o lo -j ACCEPT|counter accept) \| without (?:! -d 127|ip daddr != 127)/,
    text: 'To 127.0.0.1 nothing below captures either.',
  },
  {
    matches: /^set \S+ \| without/,
    text: 'The node asks nothing of this pod here.',
  },
  { matches: /SNAT.*\| without -p tcp/, text: 'All probes of the node are TCP.' },
  {
    matches: /(?:SNAT|snat).*\| without (?:--match-set|.*@istio-inpod-probes)/,
    text: 'The node probes no pod that is not in the set.',
  },
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
  {
    matches: /mangle (?:INPUT -j ztunnel-INPUT|ztunnel-INPUT )/,
    text:
      'Marks saved here are asked for in PREROUTING; what ends on the node is told by its address, ' +
      'before any mark.',
  },
  {
    matches: /mangle ztunnel-FORWARD .*--mark 0x210.*\| without/,
    text: 'Each packet of ztunnel saves the mark anew, before an answer asks for it.',
  },
  {
    matches: /0x220\/0x220 -j (?:CONNMARK|MARK).*\| (?:removed|without)/,
    text: 'UDP is marked packet by packet, and what answers ztunnel itself is addressed to it.',
  },
  {
    matches: /mangle ztunnel-OUTPUT .*\| without/,
    text: 'What else the node sends goes where table main says, marked or not.',
  },
  {
    matches: /-i v-ztunnel -j MARK --set-xmark 0x220.*\| removed/,
    text: 'What ztunnel sends in its own name is for no enrolled pod.',
  },
  {
    matches: /-i v-ztunnel -j MARK --set-xmark 0x210.*\| without ! -s/,
    text: 'Answers to ztunnel in its own name are led to it then, where they belong.',
  },
  {
    matches: /--match-set ztunnel-pods-ips src .*\| without -p tcp/,
    text: 'UDP was marked before, and does not come here.',
  },
  {
    matches: /^ztunnel\/\S+ mangle PREROUTING .*-j TPROXY .*\| without -i/,
    text: 'TPROXY looks for the socket of a known connection first, wherever its packets come in.',
  },
  {
    matches: /-j MARK --set-xmark 0x4d3\/0xfff \| without/,
    text: 'Table 100 delivers here what it is given; these packets are for here anyway.',
  },
  {
    matches: /filter ztunnel-FORWARD .*\| without/,
    text: 'It accepts what nobody else refuses.',
  },
  {
    matches: /ip route \S+ dev v-ztunnel table 102/,
    text: 'The default route of the table is on-link: its gateway needs no way of its own.',
  },
  {
    matches: /ip route \S+ dev v-ztunnel table 100/,
    text: 'Table main, asked next, has the same way to ztunnel.',
  },
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
