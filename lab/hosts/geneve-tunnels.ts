import { probeTunnels, type TunnelProbe } from '../../dataplane/tunnels/probe.ts';
import { TUNNEL_KIND_TEXT } from '../../dataplane/tunnels/tunnel.ts';
import type { Capability } from './capabilities.ts';

/** Whether this machine has Geneve tunnels, and of which kind: that is what it has as evidence. */
export async function geneveTunnels(): Promise<Capability> {
  return describeProbes(await probeTunnels());
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
      'one with vxlan and nft chains at netdev egress (Linux 5.16), and the package nftables',
  };
}
