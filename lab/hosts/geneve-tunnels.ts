import { probeTunnels, type TunnelProbe } from '../../dataplane/tunnels/probe.ts';
import { TUNNEL_KIND_TEXT, TUNNEL_KINDS, type TunnelKind } from '../../dataplane/tunnels/tunnel.ts';
import type { Capability } from './capabilities.ts';

/**
 * Whether this machine has Geneve tunnels, and of which kind: that is what it has as evidence. With a
 * wish, only that kind counts.
 */
export async function geneveTunnels(wish?: TunnelKind): Promise<Capability> {
  return describeProbes(await probeTunnels(wish === undefined ? TUNNEL_KINDS : [wish]));
}

/** The capability that the outcome of both trials makes. */
function describeProbes(probes: readonly TunnelProbe[]): Capability {
  const used = probes.find((probe) => probe.works);
  const seen = probes.map((probe) => `${TUNNEL_KIND_TEXT[probe.kind]}: ${probe.evidence}`);
  return {
    name: 'Geneve tunnels',
    present: used !== undefined,
    evidence: used === undefined ? seen.join('; ') : `by ${TUNNEL_KIND_TEXT[used.kind]}`,
    neededFor: 'the first packet of each captured connection, between node and ztunnel',
    required: ['geneve'],
    howToGet:
      'a kernel with geneve, as the cloud and generic kernels of Debian 12/13 and Ubuntu are, or ' +
      'one with vxlan and eBPF at links (TCX, Linux 6.6), or vxlan and nft chains at netdev egress ' +
      '(Linux 5.16) with the package nftables',
  };
}
