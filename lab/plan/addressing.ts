import { contains, formatIpv4, overlaps, parseCidr, parseIpv4 } from '../../topologies/ipv4.ts';
import { FABRIC_RANGE } from '../../topologies/ranges.ts';
import type { TopologyNode } from '../../topologies/topology.ts';
import { PlanError } from './errors.ts';
import type { NodePlan } from './plan.ts';

/** Prefix length of `FABRIC_RANGE`. */
export const FABRIC_PREFIX = 16;
/** The client outside the cluster, far from the nodes' numbers. */
export const OUTSIDE_ADDRESS = '172.18.255.2';
/** Namespace of the lab's own mesh programs, as Istio installs them. */
export const MESH_NAMESPACE = 'istio-system';

/**
 * Addresses of the nodes: 172.18.0.N, pods from 10.244.N.0/24 unless the topology says otherwise.
 * In a pod range .1 is the node (the pods' gateway), .2 its ztunnel, pods follow.
 * @throws {PlanError} LAB_PLAN_CONFLICT when no pod range is left or two overlap.
 */
export function planNodes(nodes: readonly TopologyNode[]): NodePlan[] {
  const taken = nodes.flatMap(({ podRange }) => (podRange === undefined ? [] : [podRange]));
  for (const [index, one] of taken.entries()) {
    const other = taken.slice(index + 1).find((two) => overlaps(parseCidr(one)!, parseCidr(two)!));
    if (other === undefined) continue;
    const message = `Cannot plan pod range "${one}": it overlaps "${other}"`;
    throw new PlanError('LAB_PLAN_CONFLICT', one, message);
  }
  return nodes.map((node, index) => {
    const podRange = node.podRange ?? freeRange(node.name, index + 1, taken);
    if (node.podRange === undefined) taken.push(podRange);
    const { first } = parseCidr(podRange)!;
    return {
      name: node.name,
      address: formatIpv4(parseCidr(FABRIC_RANGE)!.first + index + 1),
      podRange,
      gateway: formatIpv4(first + 1),
      ztunnelNetns: `ztunnel-${node.name}.${MESH_NAMESPACE}`,
      ztunnelAddress: formatIpv4(first + 2),
    };
  });
}

function freeRange(node: string, number: number, taken: readonly string[]): string {
  const isFree = (range: string): boolean =>
    taken.every((other) => !overlaps(parseCidr(range)!, parseCidr(other)!));
  // Numbers of other nodes come last, so that one unusual range does not shift its neighbours'.
  for (const third of [number, ...Array.from({ length: 256 }, (_, i) => 255 - i)]) {
    const range = `10.244.${third}.0/24`;
    if (isFree(range)) return range;
  }
  const message = `Cannot plan node "${node}": no pod range of 10.244.0.0/16 is left`;
  throw new PlanError('LAB_PLAN_CONFLICT', node, message);
}

/** Hands out the pod addresses of one node, those asked for by name first. */
export class PodAddresses {
  private readonly node: NodePlan;
  private readonly taken = new Map<string, string>();
  private next: number;

  constructor(node: NodePlan) {
    this.node = node;
    this.taken.set(node.gateway, `the node "${node.name}"`);
    this.taken.set(node.ztunnelAddress, `the ztunnel of "${node.name}"`);
    this.next = parseCidr(node.podRange)!.first + 3;
  }

  /** @throws {PlanError} LAB_PLAN_CONFLICT outside the node's range, or when it is taken. */
  reserve(address: string, pod: string): string {
    const range = parseCidr(this.node.podRange)!;
    const value = parseIpv4(address);
    const conflict = (state: string): PlanError =>
      new PlanError('LAB_PLAN_CONFLICT', address, `Cannot give "${address}" to ${pod}: ${state}`);
    const isUsable = value !== undefined && contains(range, value);
    if (!isUsable || value === range.first || value === range.last) {
      throw conflict(`want one in the pod range ${this.node.podRange} of "${this.node.name}"`);
    }
    const holder = this.taken.get(address);
    if (holder !== undefined) throw conflict(`it is in use by ${holder}`);
    this.taken.set(address, pod);
    return address;
  }

  /** @throws {PlanError} LAB_PLAN_CONFLICT when the range is used up. */
  allocate(pod: string): string {
    const { last } = parseCidr(this.node.podRange)!;
    for (; this.next < last; this.next++) {
      const address = formatIpv4(this.next);
      if (this.taken.has(address)) continue;
      this.taken.set(address, pod);
      return address;
    }
    const message = `Cannot place ${pod}: the pod range ${this.node.podRange} is used up`;
    throw new PlanError('LAB_PLAN_CONFLICT', this.node.podRange, message);
  }
}
