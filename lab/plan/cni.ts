import type { CniName } from '../../topologies/cni.ts';
import { familyOf, type IpFamily } from '../../topologies/ip.ts';
import { addressesOf, addressOf, asHost, nodeAddresses, nodeIn } from './families.ts';
import type { Addressed } from './families.ts';
import { macOf } from './hash.ts';
import type {
  AddressPlan,
  BridgePlan,
  NodeAddresses,
  NodePlan,
  RoutePlan,
  VxlanPlan,
} from './plan.ts';

/** MTU of links without an overlay around them. */
export const MTU_BYTES = 1500;
/** Outer IP, UDP and VXLAN header and inner Ethernet header (RFC 7348 §5). */
const VXLAN_OVERHEAD_BYTES = { IPv4: 50, IPv6: 70 } as const;

/** Bridge of the pods on a node, as the reference plugins call it. */
export const POD_BRIDGE = 'cni0';
/** Overlay device of a node. */
export const OVERLAY = 'vxlan0';
/** As Calico has it: VNI 4096 on the port of RFC 7348. */
const VNI = 4096;
const VXLAN_UDP_PORT = 4789;

const UPLINK = 'eth0';

/** What of a pod the node's side of its attachment needs. */
export interface AttachedPod extends Addressed {
  readonly hostLink: string;
}

/** The part of a node's netns that the primary CNI decides. */
export interface NodeAttachment {
  readonly bridges: readonly BridgePlan[];
  readonly vxlans?: readonly VxlanPlan[];
  readonly addresses: readonly AddressPlan[];
  /** To pods of other nodes, and to its own. */
  readonly routesToNodes: readonly RoutePlan[];
  readonly routesToPods: readonly RoutePlan[];
}

/** The part of a pod's netns that the primary CNI decides. */
export interface PodAttachment {
  readonly addresses: readonly AddressPlan[];
  readonly routes: readonly RoutePlan[];
}

/** MTU of a pod's link: what fits into the overlay with its headers around it. */
export function podMtuBytes(cni: CniName, outer: IpFamily = 'IPv4'): number {
  return cni === 'vxlan' ? MTU_BYTES - VXLAN_OVERHEAD_BYTES[outer] : MTU_BYTES;
}

/** How a node reaches pods, its own and those of other nodes. */
export function attachNode(
  cni: CniName,
  node: NodePlan,
  own: readonly AttachedPod[],
  others: readonly NodePlan[],
): NodeAttachment {
  const overlay = cni === 'vxlan' ? overlayOf(node, others) : undefined;
  return {
    bridges: cni === 'bridge' ? [podBridge(node, own)] : [],
    ...(overlay && { vxlans: [overlay] }),
    addresses: [
      ...(overlay ? nodeAddresses(node) : []).map((here) => {
        return { link: OVERLAY, address: asHost(overlayAddress(here)) };
      }),
      ...nodeAddresses(node).flatMap((here) => gateways(cni, here, own)),
    ],
    routesToNodes: nodeAddresses(node).flatMap(({ address }) =>
      others.map((other) => routeToNode(cni, nodeIn(other, familyOf(address)!)!)),
    ),
    // The bridge's address brings one route to all of them.
    routesToPods:
      cni === 'bridge'
        ? []
        : nodeAddresses(node).flatMap((here) => own.map((pod) => routeToPod(here, pod))),
  };
}

/** A pod's own addresses and its way to everybody else. */
export function attachPod(cni: CniName, node: NodePlan, pod: Addressed): PodAttachment {
  const all = addressesOf(pod).map((address) => attachIn(cni, node, address));
  return {
    addresses: all.flatMap(({ addresses }) => addresses),
    routes: all.flatMap(({ routes }) => routes),
  };
}

function attachIn(cni: CniName, node: NodePlan, address: string): PodAttachment {
  const family = familyOf(address)!;
  const { gateway, podRange } = nodeIn(node, family)!;
  const leave: RoutePlan = { to: 'default', via: gateway, link: UPLINK };
  if (cni === 'bridge') {
    const prefixLength = podRange.split('/')[1]!;
    return {
      addresses: [{ link: UPLINK, address: `${address}/${prefixLength}` }],
      routes: [leave],
    };
  }
  const toGateway: RoutePlan = {
    to: asHost(gateway),
    link: UPLINK,
    ...onLink(family),
    source: address,
  };
  return { addresses: [{ link: UPLINK, address: asHost(address) }], routes: [toGateway, leave] };
}

/** Scope of a route without a gateway; routes of IPv6 have none. */
export function onLink(family: IpFamily): Pick<RoutePlan, 'scope'> {
  return family === 'IPv4' ? { scope: 'link' } : {};
}

function podBridge({ name }: NodePlan, own: readonly AttachedPod[]): BridgePlan {
  return {
    name: POD_BRIDGE,
    ports: own.map(({ hostLink }) => hostLink),
    mac: macOf(name, POD_BRIDGE),
    hairpin: true,
  };
}

function gateways(
  cni: CniName,
  { gateway, podRange }: NodeAddresses,
  own: readonly AttachedPod[],
): AddressPlan[] {
  if (cni === 'bridge') {
    return [{ link: POD_BRIDGE, address: `${gateway}/${podRange.split('/')[1]!}` }];
  }
  return own.map(({ hostLink }) => ({ link: hostLink, address: asHost(gateway) }));
}

function routeToPod({ gateway }: NodeAddresses, pod: AttachedPod): RoutePlan {
  const family = familyOf(gateway)!;
  return {
    to: asHost(addressOf(pod, family)!),
    link: pod.hostLink,
    ...onLink(family),
    // What the node itself sends to its pods carries the pods' gateway, as with the CNI's ptp.
    source: gateway,
  };
}

function routeToNode(cni: CniName, other: NodeAddresses): RoutePlan {
  const { podRange, address } = other;
  if (cni !== 'vxlan') return { to: podRange, via: address, link: UPLINK };
  return { to: podRange, via: overlayAddress(other), link: OVERLAY, isOnlink: true };
}

function overlayOf(node: NodePlan, others: readonly NodePlan[]): VxlanPlan {
  return {
    name: OVERLAY,
    vni: VNI,
    udpPort: VXLAN_UDP_PORT,
    mac: macOf(node.name, OVERLAY),
    local: node.address,
    mtuBytes: podMtuBytes('vxlan', familyOf(node.address)),
    peers: others.map((other) => ({
      node: other.address,
      addresses: nodeAddresses(other).map(overlayAddress),
      mac: macOf(other.name, OVERLAY),
    })),
  };
}

/** The first of the node's pod range, which no pod gets, as flannel has it. */
function overlayAddress({ podRange }: NodeAddresses): string {
  return podRange.split('/')[0]!;
}
