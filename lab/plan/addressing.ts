import {
  addressIn,
  familyOf,
  formatIp,
  parseIp,
  parseIpRange,
  rangeHolds,
  rangesOverlap,
  type IpFamily,
} from '../../topologies/ip.ts';
import { RANGES } from '../../topologies/ranges.ts';
import type { TopologyNode } from '../../topologies/topology.ts';
import { PlanError } from './errors.ts';
import type { NodeAddresses, NodePlan, ZtunnelPlace } from './plan.ts';

/** The client outside the cluster, far from the nodes' numbers. */
export const OUTSIDE_ADDRESSES = {
  IPv4: '172.18.255.2',
  IPv6: 'fd00:172:18::ff02',
} as const satisfies Record<IpFamily, string>;
/** Namespace of the lab's own mesh programs, as Istio installs them. */
export const MESH_NAMESPACE = 'istio-system';

/** An address on the nodes' network with that network's prefix length. */
export function onFabric(address: string): string {
  return `${address}/${parseIpRange(RANGES[familyOf(address) ?? 'IPv4'].fabric)!.prefix}`;
}

/**
 * Addresses of the nodes: 172.18.0.N and fd00:172:18::N, pods from 10.244.N.0/24 and
 * fd00:10:244:N::/64 unless the topology says otherwise. In a pod range .1 is the node (the pods'
 * gateway), .2 its ztunnel, pods follow.
 * @throws {PlanError} LAB_PLAN_CONFLICT when no pod range is left or two overlap.
 */
export function planNodes(
  nodes: readonly TopologyNode[],
  ipFamilies: readonly IpFamily[],
  { spareZtunnels = false }: { readonly spareZtunnels?: boolean } = {},
): NodePlan[] {
  const [first = [], second] = ipFamilies.map((family) => planFamily(nodes, family));
  return nodes.map(({ name }, index) => {
    const { address, podRange, gateway, ztunnelAddress } = first[index]!;
    return {
      name,
      address,
      podRange,
      gateway,
      ztunnelNetns: `ztunnel-${name}.${MESH_NAMESPACE}`,
      ztunnelAddress,
      ...(second === undefined ? {} : { second: second[index]! }),
      ...(spareZtunnels && { spareZtunnel: spareOf(name, podRange) }),
    };
  });
}

/** The highest address, which pods get last. */
function spareOf(node: string, podRange: string): ZtunnelPlace {
  const { family, last } = parseIpRange(podRange)!;
  return {
    netns: `ztunnel-${node}-b.${MESH_NAMESPACE}`,
    address: formatIp(family, last - 1n),
    // Links of pods begin with "v-".
    hostLink: 'z-ztunnel',
  };
}

function planFamily(nodes: readonly TopologyNode[], family: IpFamily): NodeAddresses[] {
  const given = nodes.map(({ podRange }) =>
    [podRange ?? []].flat().find((range) => parseIpRange(range)?.family === family),
  );
  const taken = given.filter((range) => range !== undefined);
  for (const [index, one] of taken.entries()) {
    const other = taken.slice(index + 1).find((two) => overlap(one, two));
    if (other === undefined) continue;
    const message = `Cannot plan pod range "${one}": it overlaps "${other}"`;
    throw new PlanError('LAB_PLAN_CONFLICT', one, message);
  }
  return nodes.map((node, index) => {
    const podRange = given[index] ?? freeRange(node.name, family, index + 1, taken);
    if (given[index] === undefined) taken.push(podRange);
    const range = parseIpRange(podRange)!;
    return {
      address: addressIn(parseIpRange(RANGES[family].fabric)!, index + 1),
      podRange,
      gateway: addressIn(range, 1),
      ztunnelAddress: addressIn(range, 2),
    };
  });
}

function overlap(one: string, two: string): boolean {
  return rangesOverlap(parseIpRange(one)!, parseIpRange(two)!);
}

function freeRange(
  node: string,
  family: IpFamily,
  number: number,
  taken: readonly string[],
): string {
  // Numbers of other nodes come last, so that one unusual range does not shift its neighbours'.
  for (const part of [number, ...Array.from({ length: 256 }, (_, i) => 255 - i)]) {
    const range =
      family === 'IPv4' ? `10.244.${part}.0/24` : `fd00:10:244:${part.toString(16)}::/64`;
    if (taken.every((other) => !overlap(range, other))) return range;
  }
  const message = `Cannot plan node "${node}": no pod range of ${RANGES[family].pods} is left`;
  throw new PlanError('LAB_PLAN_CONFLICT', node, message);
}

/** Hands out the pod addresses of one node and family, those asked for by name first. */
export class PodAddresses {
  readonly #node: string;
  readonly #podRange: string;
  readonly #taken = new Map<string, string>();
  #next: bigint;

  constructor(
    node: string,
    { podRange, gateway, ztunnelAddress }: NodeAddresses,
    spareZtunnel?: ZtunnelPlace,
  ) {
    this.#node = node;
    this.#podRange = podRange;
    this.#taken.set(gateway, `the node "${node}"`);
    this.#taken.set(ztunnelAddress, `the ztunnel of "${node}"`);
    if (spareZtunnel) this.#taken.set(spareZtunnel.address, `the second ztunnel of "${node}"`);
    this.#next = parseIpRange(podRange)!.first + 3n;
  }

  /** @throws {PlanError} LAB_PLAN_CONFLICT outside the node's range, or when it is taken. */
  reserve(address: string, pod: string): string {
    const range = parseIpRange(this.#podRange)!;
    const parsed = parseIp(address);
    const conflict = (state: string): PlanError =>
      new PlanError('LAB_PLAN_CONFLICT', address, `Cannot give "${address}" to ${pod}: ${state}`);
    const isUsable = parsed !== undefined && rangeHolds(range, parsed);
    if (!isUsable || parsed.value === range.first || parsed.value === range.last) {
      throw conflict(`want one in the pod range ${this.#podRange} of "${this.#node}"`);
    }
    const holder = this.#taken.get(address);
    if (holder !== undefined) throw conflict(`it is in use by ${holder}`);
    this.#taken.set(address, pod);
    return address;
  }

  /** @throws {PlanError} LAB_PLAN_CONFLICT when the range is used up. */
  allocate(pod: string): string {
    const { family, last } = parseIpRange(this.#podRange)!;
    for (; this.#next < last; this.#next++) {
      const address = formatIp(family, this.#next);
      if (this.#taken.has(address)) continue;
      this.#taken.set(address, pod);
      return address;
    }
    const message = `Cannot place ${pod}: the pod range ${this.#podRange} is used up`;
    throw new PlanError('LAB_PLAN_CONFLICT', this.#podRange, message);
  }
}
