import { DNS_SERVICE_IP, SERVICE_RANGE } from '../../topologies/ranges.ts';
import { FABRIC_PREFIX, MESH_NAMESPACE, OUTSIDE_ADDRESS } from './addressing.ts';
import { linkNames, macOf } from './hash.ts';
import { renderKubeProxy } from './kube-proxy.ts';
import type { NetnsPlan, NodePlan, PodPlan, RoutePlan, ServicePlan, VethPlan } from './plan.ts';
import { hostsOfMachine, hostsOfPod, NO_RESOLVER, resolvConfOfPod } from './resolver.ts';
import { sysctlsIfPresent, sysctlsOf } from './sysctls.ts';

const MTU_BYTES = 1500;
const BRIDGE = 'br0';
const UPLINK = 'eth0';

export interface Parts {
  readonly nodes: readonly NodePlan[];
  readonly pods: readonly PodPlan[];
  readonly services: readonly ServicePlan[];
}

/** A pod's netns as the node sees it: ztunnel's included, which is no pod of the plan. */
interface PodNetns {
  readonly netns: string;
  readonly address: string;
  readonly hostLink: string;
  readonly node: string;
}

/** Every netns and veth: fabric, nodes, their ztunnels and pods, and the client outside. */
export function planNetns(parts: Parts): { netns: NetnsPlan[]; links: VethPlan[] } {
  const { nodes, pods, services } = parts;
  const ports = fabricPorts(nodes);
  const netns: NetnsPlan[] = [fabric(ports.map(({ port }) => port)), outside(nodes)];
  const links = ports.map(({ netns: end, port }) => veth('fabric', port, end));
  for (const node of nodes) {
    const own = pods.filter((pod) => pod.node === node.name);
    const ztunnel: PodNetns = {
      netns: node.ztunnelNetns,
      address: node.ztunnelAddress,
      hostLink: 'v-ztunnel',
      node: node.name,
    };
    netns.push(nodeNetns(node, [ztunnel, ...own], nodes, services));
    netns.push(podNetns(ztunnel, node, 'ztunnel', MESH_NAMESPACE));
    links.push(veth(node.name, ztunnel.hostLink, ztunnel.netns));
    for (const pod of own) {
      netns.push(podNetns(pod, node, 'pod', pod.system ? undefined : pod.namespace));
      links.push(veth(node.name, pod.hostLink, pod.netns));
    }
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

function veth(netns: string, name: string, peer: string): VethPlan {
  return {
    a: { netns, name, mac: macOf(netns, name) },
    b: { netns: peer, name: UPLINK, mac: macOf(peer, UPLINK) },
    mtuBytes: MTU_BYTES,
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

function outside(nodes: readonly NodePlan[]): NetnsPlan {
  return {
    name: 'outside',
    role: 'outside',
    sysctls: sysctlsOf('outside'),
    sysctlsIfPresent: sysctlsIfPresent('outside'),
    bridges: [],
    addresses: [{ link: UPLINK, address: `${OUTSIDE_ADDRESS}/${FABRIC_PREFIX}` }],
    routes: [],
    resolvConf: NO_RESOLVER,
    hosts: hostsOfMachine(nodes),
  };
}

function nodeNetns(
  node: NodePlan,
  own: readonly PodNetns[],
  nodes: readonly NodePlan[],
  services: readonly ServicePlan[],
): NetnsPlan {
  const others = nodes.filter(({ name }) => name !== node.name);
  const routes: RoutePlan[] = [
    ...others.map(({ podRange, address }) => ({ to: podRange, via: address, link: UPLINK })),
    // Routing comes before OUTPUT's DNAT, so without it the node could not reach a service.
    { to: SERVICE_RANGE, link: UPLINK, scope: 'link', source: node.address },
    ...own.map(({ address, hostLink }): RoutePlan => ({
      to: `${address}/32`,
      link: hostLink,
      scope: 'link',
      // What the node itself sends to its pods carries the pods' gateway, as with the CNI's ptp.
      source: node.gateway,
    })),
  ];
  return {
    name: node.name,
    role: 'node',
    node: node.name,
    sysctls: sysctlsOf('node'),
    sysctlsIfPresent: sysctlsIfPresent('node'),
    bridges: [],
    addresses: [
      { link: UPLINK, address: `${node.address}/${FABRIC_PREFIX}` },
      ...own.map(({ hostLink }) => ({ link: hostLink, address: `${node.gateway}/32` })),
    ],
    routes,
    resolvConf: NO_RESOLVER,
    hosts: hostsOfMachine(nodes),
    restore: renderKubeProxy(services, node, nodes),
  };
}

function podNetns(
  pod: PodNetns,
  node: NodePlan,
  role: 'pod' | 'ztunnel',
  searchNamespace: string | undefined,
): NetnsPlan {
  return {
    name: pod.netns,
    role,
    node: node.name,
    sysctls: sysctlsOf(role),
    sysctlsIfPresent: sysctlsIfPresent(role),
    bridges: [],
    addresses: [{ link: UPLINK, address: `${pod.address}/32` }],
    routes: [
      { to: `${node.gateway}/32`, link: UPLINK, scope: 'link', source: pod.address },
      { to: 'default', via: node.gateway, link: UPLINK },
    ],
    resolvConf:
      searchNamespace === undefined
        ? NO_RESOLVER
        : resolvConfOfPod(searchNamespace, DNS_SERVICE_IP),
    hosts: hostsOfPod(pod.netns, pod.address),
  };
}
