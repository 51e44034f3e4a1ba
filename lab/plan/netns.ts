import { renderRestore } from '../../dataplane/redirect/render.ts';
import { PASSTHROUGH_SOURCE } from '../../dataplane/redirect/sidecar-constants.ts';
import { sidecarRules } from '../../dataplane/redirect/sidecar-rules.ts';
import type { CniName } from '../../topologies/cni.ts';
import type { IpFamily } from '../../topologies/ip.ts';
import { DNS_SERVICE_IPS, RANGES } from '../../topologies/ranges.ts';
import { MESH_NAMESPACE, onFabric, OUTSIDE_ADDRESSES } from './addressing.ts';
import { attachNode, attachPod, MTU_BYTES, onLink, podMtuBytes } from './cni.ts';
import { nodeAddresses, nodeIn, type Addressed } from './families.ts';
import { guestSide, masqueradeGuest, towardsGuest, type GuestPlan } from './guests.ts';
import { linkNames, macOf } from './hash.ts';
import { renderKubeProxy } from './kube-proxy.ts';
import type { NetnsPlan, NodePlan, PodPlan, RoutePlan, ServicePlan, VethPlan } from './plan.ts';
import { hostsOfMachine, hostsOfPod, NO_RESOLVER, resolvConfOfPod } from './resolver.ts';
import type { SidecarPlan } from './sidecars.ts';
import { sysctlsIfPresent, sysctlsOf } from './sysctls.ts';

const BRIDGE = 'br0';
/** Host-side end of the veth of a node's ztunnel. */
export const ZTUNNEL_HOST_LINK = 'v-ztunnel';
const UPLINK = 'eth0';

export interface Parts {
  readonly nodes: readonly NodePlan[];
  readonly pods: readonly PodPlan[];
  readonly guests: readonly GuestPlan[];
  readonly services: readonly ServicePlan[];
  readonly cni: CniName;
  readonly ipFamilies: readonly IpFamily[];
}

/** A pod's netns as the node sees it: ztunnel's included, which is no pod of the plan. */
interface PodNetns extends Addressed {
  readonly sidecar?: SidecarPlan;
  readonly netns: string;
  readonly hostLink: string;
  readonly node: string;
}

/** Every netns and veth: fabric, nodes, their ztunnels and pods, and the client outside. */
export function planNetns(parts: Parts): { netns: NetnsPlan[]; links: VethPlan[] } {
  const { nodes, pods, guests, cni } = parts;
  const ports = fabricPorts(nodes);
  const netns: NetnsPlan[] = [fabric(ports.map(({ port }) => port)), outside(parts)];
  const links = ports.map(({ netns: end, port }) => veth('fabric', port, end, MTU_BYTES));
  const podMtu = podMtuBytes(cni, parts.ipFamilies[0]);
  for (const node of nodes) {
    const own = pods.filter((pod) => pod.node === node.name);
    const ztunnel: PodNetns = {
      netns: node.ztunnelNetns,
      address: node.ztunnelAddress,
      ...(node.second === undefined ? {} : { secondAddress: node.second.ztunnelAddress }),
      hostLink: ZTUNNEL_HOST_LINK,
      node: node.name,
    };
    const { spareZtunnel } = node;
    const ztunnels = spareZtunnel ? [ztunnel, { ...spareZtunnel, node: node.name }] : [ztunnel];
    netns.push(nodeNetns(node, [...ztunnels, ...own], parts));
    for (const each of ztunnels) {
      netns.push(podNetns(each, node, parts, MESH_NAMESPACE));
      links.push(veth(node.name, each.hostLink, each.netns, podMtu));
    }
    for (const pod of own) {
      netns.push(podNetns(pod, node, parts, pod.system ? undefined : pod.namespace));
      links.push(veth(node.name, pod.hostLink, pod.netns, podMtu));
    }
  }
  for (const guest of guests) {
    netns.push(guestNetns(guest, parts));
    links.push(veth(guest.podNetns, guest.link, guest.netns, podMtu));
  }
  return { netns, links };
}

function fabricPorts(nodes: readonly NodePlan[]): { netns: string; port: string }[] {
  const ends = [...nodes.map(({ name }) => name), 'outside'];
  const ports = linkNames(
    'p-',
    ends.map((word) => ({ word, key: word })),
  );
  return ends.map((netns, index) => ({ netns, port: ports[index]! }));
}

function veth(netns: string, name: string, peer: string, mtuBytes: number): VethPlan {
  return {
    a: { netns, name, mac: macOf(netns, name) },
    b: { netns: peer, name: UPLINK, mac: macOf(peer, UPLINK) },
    mtuBytes,
  };
}

function fabric(ports: readonly string[]): NetnsPlan {
  return {
    name: 'fabric',
    role: 'fabric',
    sysctls: sysctlsOf('fabric'),
    sysctlsIfPresent: sysctlsIfPresent('fabric'),
    bridges: [{ name: BRIDGE, ports }],
    addresses: [],
    routes: [],
  };
}

function outside({ nodes, ipFamilies }: Parts): NetnsPlan {
  return {
    name: 'outside',
    role: 'outside',
    sysctls: sysctlsOf('outside', ipFamilies),
    sysctlsIfPresent: sysctlsIfPresent('outside'),
    bridges: [],
    addresses: ipFamilies.map((family) => {
      return { link: UPLINK, address: onFabric(OUTSIDE_ADDRESSES[family]) };
    }),
    routes: [],
    resolvConf: NO_RESOLVER,
    hosts: hostsOfMachine(nodes, ipFamilies),
  };
}

function nodeNetns(
  node: NodePlan,
  own: readonly PodNetns[],
  { nodes, services, cni, ipFamilies }: Parts,
): NetnsPlan {
  const others = nodes.filter(({ name }) => name !== node.name);
  const attached = attachNode(cni, node, own, others);
  const routes: RoutePlan[] = [
    ...attached.routesToNodes,
    // Routing comes before OUTPUT's DNAT, so without it the node could not reach a service.
    ...ipFamilies.map((family): RoutePlan => {
      const { address } = nodeIn(node, family)!;
      return { to: RANGES[family].services, link: UPLINK, ...onLink(family), source: address };
    }),
    ...attached.routesToPods,
  ];
  const rules = (family: IpFamily): string | undefined =>
    ipFamilies.includes(family) ? renderKubeProxy(family, services, node, nodes) : undefined;
  const [restore, restoreIpv6] = [rules('IPv4'), rules('IPv6')];
  return {
    name: node.name,
    role: 'node',
    node: node.name,
    sysctls: sysctlsOf('node', ipFamilies),
    sysctlsIfPresent: sysctlsIfPresent('node', cni),
    bridges: attached.bridges,
    ...(attached.vxlans && { vxlans: attached.vxlans }),
    addresses: [
      ...nodeAddresses(node).map(({ address }) => ({ link: UPLINK, address: onFabric(address) })),
      ...attached.addresses,
    ],
    routes,
    resolvConf: NO_RESOLVER,
    hosts: hostsOfMachine(nodes, ipFamilies),
    ...(restore === undefined ? {} : { restore }),
    ...(restoreIpv6 === undefined ? {} : { restoreIpv6 }),
  };
}

/** A guest has the pod's name server, as its DHCP server would tell it. */
function guestNetns(guest: GuestPlan, { ipFamilies }: Parts): NetnsPlan {
  const servers = ipFamilies.map((family) => DNS_SERVICE_IPS[family]);
  return {
    name: guest.netns,
    role: 'pod',
    node: guest.node,
    sysctls: sysctlsOf('pod', ipFamilies),
    sysctlsIfPresent: sysctlsIfPresent('pod'),
    bridges: [],
    ...guestSide(ipFamilies),
    resolvConf: resolvConfOfPod(guest.namespace, servers),
    hosts: hostsOfPod(guest.netns, guest, ipFamilies),
  };
}

function podNetns(
  pod: PodNetns,
  node: NodePlan,
  { cni, ipFamilies, guests }: Parts,
  searchNamespace: string | undefined,
): NetnsPlan {
  const guest = guests.find(({ podNetns }) => podNetns === pod.netns);
  const attached = attachPod(cni, node, pod);
  const rules = (family: IpFamily): string | undefined =>
    (guest && masqueradeGuest(guest, family)) ?? redirectToSidecar(pod, family, ipFamilies);
  const [restore, restoreIpv6] = [rules('IPv4'), rules('IPv6')];
  const isZtunnel = [node.ztunnelNetns, node.spareZtunnel?.netns].includes(pod.netns);
  const role = isZtunnel ? 'ztunnel' : 'pod';
  const servers = ipFamilies.map((family) => DNS_SERVICE_IPS[family]);
  return {
    name: pod.netns,
    role,
    node: node.name,
    sysctls: sysctlsOf(role, ipFamilies, guest !== undefined),
    sysctlsIfPresent: sysctlsIfPresent(role),
    bridges: [],
    routes: attached.routes,
    addresses: [
      ...attached.addresses,
      ...(guest ? towardsGuest(guest, ipFamilies) : []),
      ...passthroughSources(pod, ipFamilies),
    ],
    resolvConf:
      searchNamespace === undefined ? NO_RESOLVER : resolvConfOfPod(searchNamespace, servers),
    hosts: hostsOfPod(pod.netns, pod, ipFamilies),
    ...(restore === undefined ? {} : { restore }),
    ...(restoreIpv6 === undefined ? {} : { restoreIpv6 }),
  };
}

/** Rules of istio-init, which is there before any other program of the pod. */
function redirectToSidecar(
  { sidecar }: PodNetns,
  family: IpFamily,
  ipFamilies: readonly IpFamily[],
): string | undefined {
  if (sidecar?.redirect === undefined || !ipFamilies.includes(family)) return undefined;
  return renderRestore(sidecarRules(family === 'IPv4' ? 'ipv4' : 'ipv6', sidecar.redirect));
}

/** 127.0.0.6 is loopback anyway; istio-init adds its counterpart. */
function passthroughSources(
  { sidecar }: PodNetns,
  ipFamilies: readonly IpFamily[],
): NetnsPlan['addresses'] {
  const isWanted = sidecar !== undefined && ipFamilies.includes('IPv6');
  return isWanted ? [{ link: 'lo', address: `${PASSTHROUGH_SOURCE.ipv6}/128` }] : [];
}
