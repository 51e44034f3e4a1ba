import { HOST_PROBE_IPV4, HOST_PROBE_IPV6 } from '../../dataplane/redirect/constants.ts';
import { addressesOf, nodeAddresses, vipsOf } from '../plan/families.ts';
import { guestNames, type GuestPlan } from '../plan/guests.ts';
import type { Plan, PodPlan } from '../plan/plan.ts';
import type { InterfaceFacts } from './facts.ts';

/** Who lives where, as the plan has it: what names in facts come from. */
export interface NetnsMap {
  readonly plan: Plan;
  readonly roleOf: (netns: string) => InterfaceFacts['role'];
  readonly nodeOf: (netns: string) => string | undefined;
  /** The pod whose netns this is. */
  readonly podIn: (netns: string) => PodPlan | undefined;
  /** The machine inside a pod whose netns this is. */
  readonly guestIn: (netns: string) => GuestPlan | undefined;
  /** The pod a leg record names (`namespace/name`). */
  readonly podNamed: (name: string) => PodPlan | undefined;
  /** Netns of a node's ztunnel. */
  readonly ztunnelOf: (node: string) => string | undefined;
  /** `netns/interface` at the other end of a veth. */
  readonly peerOf: (netns: string, name: string) => string | undefined;
  /** The bridge of a node that an interface is, or is a port of. */
  readonly bridgeOf: (netns: string, name: string) => string | undefined;
  /** `sleep`, `node1`, `outside`, `plain` …; an address that is nobody's stays an address. */
  readonly nameOfIp: (ip: string) => string;
}

/** Indexes a plan for looking up namespaces, pods and links. */
export function mapNetns(plan: Plan): NetnsMap {
  const netns = new Map(plan.netns.map((each) => [each.name, each]));
  const podByNetns = new Map(plan.pods.map((each) => [each.netns, each]));
  const podByName = new Map(plan.pods.map((each) => [`${each.namespace}/${each.name}`, each]));
  const peers = new Map<string, string>();
  for (const { a, b } of plan.links) {
    peers.set(`${a.netns}/${a.name}`, `${b.netns}/${b.name}`);
    peers.set(`${b.netns}/${b.name}`, `${a.netns}/${a.name}`);
  }
  const names = namesOfAddresses(plan);
  return {
    plan,
    roleOf: (name) => netns.get(name)?.role ?? 'unknown',
    nodeOf: (name) => netns.get(name)?.node,
    podIn: (name) => podByNetns.get(name),
    guestIn: (name) => plan.guests?.find(({ netns }) => netns === name),
    ztunnelOf: (node) => plan.nodes.find(({ name }) => name === node)?.ztunnelNetns,
    podNamed: (name) => podByName.get(name),
    peerOf: (name, link) => peers.get(`${name}/${link}`),
    bridgeOf: (name, link) => {
      const { role, bridges = [] } = netns.get(name) ?? {};
      if (role !== 'node') return undefined;
      return bridges.find((each) => each.name === link || each.ports.includes(link))?.name;
    },
    nameOfIp: (ip) => names.get(ip) ?? ip,
  };
}

function namesOfAddresses(plan: Plan): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const each of plan.netns) {
    for (const { address } of each.addresses) {
      const ip = address.split('/')[0] ?? address;
      if (each.role === 'node' || each.role === 'outside') names.set(ip, each.name);
    }
  }
  for (const node of plan.nodes) {
    for (const { address, gateway, ztunnelAddress } of nodeAddresses(node)) {
      names.set(address, node.name);
      names.set(gateway, node.name);
      names.set(ztunnelAddress, `ztunnel(${node.name})`);
    }
  }
  for (const pod of plan.pods) for (const ip of addressesOf(pod)) names.set(ip, pod.name);
  for (const [ip, name] of guestNames(plan.guests ?? [])) names.set(ip, name);
  for (const service of plan.services) {
    for (const vip of vipsOf(service)) names.set(vip, `${service.name}.${service.namespace}`);
  }
  for (const probe of [HOST_PROBE_IPV4, HOST_PROBE_IPV6]) names.set(probe, 'host-probe');
  return names;
}
