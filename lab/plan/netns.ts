import type { CniName } from '../../topologies/cni.ts';
import { DNS_SERVICE_IP, SERVICE_RANGE } from '../../topologies/ranges.ts';
import { FABRIC_PREFIX, MESH_NAMESPACE, OUTSIDE_ADDRESS } from './addressing.ts';
import { attachNode, attachPod, MTU_BYTES, podMtuBytes } from './cni.ts';
import { linkNames, macOf } from './hash.ts';
import { renderKubeProxy } from './kube-proxy.ts';
import type { NetnsPlan, NodePlan, PodPlan, RoutePlan, ServicePlan, VethPlan } from './plan.ts';
import { hostsOfMachine, hostsOfPod, NO_RESOLVER, resolvConfOfPod } from './resolver.ts';
import { sysctlsIfPresent, sysctlsOf } from './sysctls.ts';

const BRIDGE = 'br0';
const UPLINK = 'eth0';

export interface Parts {
  readonly nodes: readonly NodePlan[];
  readonly pods: readonly PodPlan[];
  readonly services: readonly ServicePlan[];
  readonly cni: CniName;
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
  const { nodes, pods, cni } = parts;
  const ports = fabricPorts(nodes);
  const netns: NetnsPlan[] = [fabric(ports.map(({ port }) => port)), outside(nodes)];
  const links = ports.map(({ netns: end, port }) => veth('fabric', port, end, MTU_BYTES));
  const podMtu = podMtuBytes(cni);
  for (const node of nodes) {
    const own = pods.filter((pod) => pod.node === node.name);
    const ztunnel: PodNetns = {
      netns: node.ztunnelNetns,
      address: node.ztunnelAddress,
      hostLink: 'v-ztunnel',
      node: node.name,
    };
    netns.push(nodeNetns(node, [ztunnel, ...own], parts));
    netns.push(podNetns(ztunnel, node, cni, MESH_NAMESPACE));
    links.push(veth(node.name, ztunnel.hostLink, ztunnel.netns, podMtu));
    for (const pod of own) {
      netns.push(podNetns(pod, node, cni, pod.system ? undefined : pod.namespace));
      links.push(veth(node.name, pod.hostLink, pod.netns, podMtu));
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
  { nodes, services, cni }: Parts,
): NetnsPlan {
  const others = nodes.filter(({ name }) => name !== node.name);
  const attached = attachNode(cni, node, own, others);
  const routes: RoutePlan[] = [
    ...attached.routesToNodes,
    // Routing comes before OUTPUT's DNAT, so without it the node could not reach a service.
    { to: SERVICE_RANGE, link: UPLINK, scope: 'link', source: node.address },
    ...attached.routesToPods,
  ];
  return {
    name: node.name,
    role: 'node',
    node: node.name,
    sysctls: sysctlsOf('node'),
    sysctlsIfPresent: sysctlsIfPresent('node', cni),
    bridges: attached.bridges,
    ...(attached.vxlans && { vxlans: attached.vxlans }),
    addresses: [
      { link: UPLINK, address: `${node.address}/${FABRIC_PREFIX}` },
      ...attached.addresses,
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
  cni: CniName,
  searchNamespace: string | undefined,
): NetnsPlan {
  const role = pod.netns === node.ztunnelNetns ? 'ztunnel' : 'pod';
  return {
    name: pod.netns,
    role,
    node: node.name,
    sysctls: sysctlsOf(role),
    sysctlsIfPresent: sysctlsIfPresent(role),
    bridges: [],
    ...attachPod(cni, node, pod.address),
    resolvConf:
      searchNamespace === undefined
        ? NO_RESOLVER
        : resolvConfOfPod(searchNamespace, DNS_SERVICE_IP),
    hosts: hostsOfPod(pod.netns, pod.address),
  };
}
