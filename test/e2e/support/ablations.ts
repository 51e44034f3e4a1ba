import type { Era } from '../../../dataplane/redirect/era.ts';

/** What facts on the redirect say of one rule that is taken away: 1.14 for geneve, 2.10 for the others. */
export interface Ablation {
  readonly id: RegExp;
  /** Of the probes {@link ABLATION_PROBES}, in their order. */
  readonly breaks: readonly string[];
  /** What is seen of the first of them. */
  readonly seen?: RegExp;
  /** Short enough for the test that runs each time. */
  readonly isQuick?: boolean;
}

/** HBONE of a pod to the other node; a pod outside the mesh; the node's own probes. */
export const ABLATION_PROBES = ['other-node', 'plain-in', 'node-probe', 'strict-probe'] as const;

const CAPTURED = ['other-node', 'plain-in'];
const TIMEOUT = /timeout/;

/** Measured with other programs in the place of ztunnel. */
const IN_POD: readonly Ablation[] = [
  { id: /^ip rule .*\| removed$/, breaks: CAPTURED, isQuick: true },
  { id: /^ip route .*\| removed$/, breaks: CAPTURED },
];

const IPTABLES: readonly Ablation[] = [
  ...IN_POD,
  { id: /^mangle ISTIO_OUTPUT .*restore-mark.*\| removed$/, breaks: CAPTURED },
  { id: /^mangle ISTIO_PRERT .*set-xmark.*\| removed$/, breaks: CAPTURED },
  // Still answers, but through ztunnel; a pod that wants mTLS refuses it.
  {
    id: /ISTIO_PRERT -s 169.*\| removed$/,
    breaks: ['node-probe', 'strict-probe'],
    seen: /inbound-passthrough at demo\/far/,
    isQuick: true,
  },
  { id: /^nat ISTIO_OUTPUT -d 169.*-j ACCEPT \| removed$/, breaks: [], isQuick: true },
  { id: /^nat ISTIO_OUTPUT -p tcp -m mark --mark 0x111.*\| removed$/, breaks: [] },
];

const NFT: readonly Ablation[] = [
  ...IN_POD,
  { id: /^istio-ambient-mangle istio-output .*\| removed$/, breaks: CAPTURED },
  { id: /^istio-ambient-mangle istio-prerouting .*\| removed$/, breaks: CAPTURED },
  {
    id: /^istio-ambient-nat istio-prerouting .*saddr 169.*\| removed$/,
    breaks: ['node-probe', 'strict-probe'],
    seen: /inbound-passthrough at demo\/far/,
    isQuick: true,
  },
  {
    id: /^istio-ambient-nat istio-output .*daddr 169.*accept \| removed$/,
    breaks: [],
    isQuick: true,
  },
  { id: /^istio-ambient-nat istio-output .*== 0x111.*accept \| removed$/, breaks: [] },
];

/** The client is on node1, the pod that it and the others ask is on node2. */
const GENEVE: readonly Ablation[] = [
  { id: /^node1 sysctl net\/ipv4\/conf\/all\/rp_filter/, breaks: ['other-node'], seen: TIMEOUT },
  { id: /^node2 sysctl net\/ipv4\/conf\/all\/rp_filter/, breaks: CAPTURED, seen: TIMEOUT },
  {
    id: /^ztunnel\/node2 sysctl net\/ipv4\/conf\/all\/rp_filter/,
    breaks: CAPTURED,
    seen: TIMEOUT,
  },
  {
    id: /^node1 ip route \S+ dev v-ztunnel table 101 \| removed/,
    breaks: ['other-node'],
    seen: TIMEOUT,
    isQuick: true,
  },
  // Outbound is dead, inbound still works.
  { id: /^node2 ip route \S+ dev v-ztunnel table 101 \| removed/, breaks: [] },
  {
    id: /^ztunnel\/node2 ip rule fwmark 0x4d3.* \| removed/,
    breaks: CAPTURED,
    seen: TIMEOUT,
    isQuick: true,
  },
  {
    id: /^node1 mangle ztunnel-FORWARD .*--mark 0x210.*\| removed/,
    breaks: ['other-node'],
    seen: /the tunnel carries every packet, was the SYN alone/,
    isQuick: true,
  },
  { id: /^node1 sysctl net\/ipv4\/conf\/v-ztunnel\/accept_local/, breaks: [] },
  { id: /^node2 sysctl net\/ipv4\/conf\/istioin\/accept_local/, breaks: [] },
  { id: /^node1 mangle ztunnel-PREROUTING .*--dport 6081 -j RETURN \| removed/, breaks: [] },
  { id: /^node2 ztunnel \| stopped/, breaks: CAPTURED, seen: TIMEOUT },
  {
    id: /^node1 all rules and policy rules \| removed/,
    breaks: ['other-node'],
    seen: /past every ztunnel|inbound-passthrough/,
  },
];

export const ABLATIONS: Readonly<Record<Era, readonly Ablation[]>> = {
  geneve: GENEVE,
  'inpod-nft': NFT,
  'inpod-redirect': IPTABLES,
  'inpod-tproxy': IPTABLES,
};
