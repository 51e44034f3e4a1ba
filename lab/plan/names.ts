import { nearest } from '../../topologies/nearest.ts';
import { lookUpPod } from '../../topologies/pod-names.ts';
import { parseRequestTarget, type RequestTarget } from '../../topologies/request-target.ts';
import { namesOfService } from '../../topologies/service-names.ts';
import { bracketed, canonicalIp, familyOf, type IpFamily } from '../../topologies/ip.ts';
import { PlanError } from './errors.ts';
import { addressesOf, addressOf, familiesOf, vipsOf, type Addressed } from './families.ts';
import type { GuestPlan } from './guests.ts';
import type { NodePlan, OutsidePlan, Plan, PodPlan, ServicePlan } from './plan.ts';

/** What a word of a user names. */
export type Party =
  | ({
      readonly kind: 'pod';
      readonly netns: string;
      readonly pod: PodPlan;
    } & Addressed)
  | ({
      readonly kind: 'node';
      readonly netns: string;
      readonly node: NodePlan;
    } & Addressed)
  /** A machine inside a pod. */
  | ({
      readonly kind: 'guest';
      readonly netns: string;
      readonly guest: GuestPlan;
    } & Addressed)
  | ({
      readonly kind: 'outside';
      readonly netns: string;
      readonly outside: OutsidePlan;
    } & Addressed)
  | ({
      readonly kind: 'ztunnel';
      readonly netns: string;
      readonly node: NodePlan;
    } & Addressed)
  | { readonly kind: 'fabric'; readonly netns: string };

/**
 * The pod meant by `sleep`, `demo/sleep` or `sleep.demo`: by its name, or by its workload's when
 * that has one pod.
 * @throws {PlanError} LAB_UNKNOWN_POD, LAB_AMBIGUOUS_POD.
 */
export function findPod(plan: Plan, word: string): PodPlan {
  const found = lookUpPod(plan.pods, word);
  if (found.kind === 'found') return found.pod;
  if (found.kind === 'ambiguous') {
    const names = found.names.slice(0, 8).join(', ');
    const message = `Cannot choose the pod "${word}": it may be any of ${names}`;
    throw new PlanError('LAB_AMBIGUOUS_POD', word, message);
  }
  const known = plan.pods.filter(({ system }) => !system).map((p) => `${p.namespace}/${p.name}`);
  const message = `Cannot find the pod "${word}": the lab has ${listOf(known)}`;
  throw new PlanError('LAB_UNKNOWN_POD', word, message, found.suggestion);
}

/** @throws {PlanError} LAB_UNKNOWN_NODE. */
export function findNode(plan: Plan, word: string): NodePlan {
  const found = plan.nodes.find(({ name }) => name === word);
  if (found) return found;
  const names = plan.nodes.map(({ name }) => name);
  const message = `Cannot find the node "${word}": the lab has ${listOf(names)}`;
  throw new PlanError('LAB_UNKNOWN_NODE', word, message, nearest(word, names));
}

/**
 * What a word names: a node, `outside`, `fabric`, `ztunnel/node1`, `ztunnel(node1)` or `ztunnel-node1`,
 * else a pod.
 * Names of netns (`sleep.demo`) are words too.
 * @throws {PlanError} LAB_UNKNOWN_POD, LAB_AMBIGUOUS_POD.
 */
export function findParty(plan: Plan, word: string): Party {
  const node = plan.nodes.find(({ name }) => name === word);
  if (node) return { kind: 'node', netns: node.name, ...addressedAs('address', node), node };
  if (word === 'outside') {
    const { outside } = plan;
    return { kind: 'outside', netns: outside.netns, ...addressed(outside), outside };
  }
  if (word === 'fabric') return { kind: 'fabric', netns: 'fabric' };
  const ztunnel = plan.nodes.find(
    ({ name, ztunnelNetns }) =>
      word === `ztunnel(${name})` ||
      word === `ztunnel/${name}` ||
      word === `ztunnel-${name}` ||
      word === ztunnelNetns,
  );
  if (ztunnel) {
    const { ztunnelNetns: netns } = ztunnel;
    return { kind: 'ztunnel', netns, ...addressedAs('ztunnelAddress', ztunnel), node: ztunnel };
  }
  const guest = guestNamed(plan, word);
  if (guest) return { kind: 'guest', netns: guest.netns, ...addressed(guest), guest };
  const spare = plan.nodes.find(
    ({ name, spareZtunnel }) =>
      spareZtunnel && [`ztunnel/${name}-b`, spareZtunnel.netns].includes(word),
  );
  if (spare?.spareZtunnel) {
    const { netns, address } = spare.spareZtunnel;
    return { kind: 'ztunnel', netns, address, node: spare };
  }
  const pod = findPodOrElse(plan, word);
  return { kind: 'pod', netns: pod.netns, ...addressed(pod), pod };
}

function guestNamed({ guests = [] }: Plan, word: string): GuestPlan | undefined {
  const found = guests.filter(({ name, namespace, netns }) =>
    [name, `${namespace}/${name}`, netns].includes(word),
  );
  return found.length === 1 ? found[0] : undefined;
}

function addressed({ address, secondAddress }: Addressed): Addressed {
  return { address, ...(secondAddress === undefined ? {} : { secondAddress }) };
}

function addressedAs(key: 'address' | 'ztunnelAddress', node: NodePlan): Addressed {
  return addressed({ address: node[key], secondAddress: node.second?.[key] });
}

/** As `findPod()`, but the message and the suggestion speak of every kind of name. */
function findPodOrElse(plan: Plan, word: string): PodPlan {
  try {
    return findPod(plan, word);
  } catch (error) {
    if (!(error instanceof PlanError) || error.code !== 'LAB_UNKNOWN_POD') throw error;
    const others = [...plan.nodes.map(({ name }) => name), 'outside', 'fabric'];
    const suggestion = error.suggestion ?? nearest(word, others);
    const pods = plan.pods.filter(({ system }) => !system).map((p) => `${p.namespace}/${p.name}`);
    const known = listOf([...others, ...pods]);
    const message = `Cannot find the pod or node "${word}": the lab has ${known}`;
    throw new PlanError('LAB_UNKNOWN_POD', word, message, suggestion);
  }
}

/**
 * The service a client in `clientNamespace` means by `httpbin`, `httpbin.demo` or the full name.
 * @throws {PlanError} LAB_UNKNOWN_SERVICE.
 */
export function findService(plan: Plan, name: string, clientNamespace?: string): ServicePlan {
  const found = plan.services.find((one) => namesOfService(one, clientNamespace).includes(name));
  if (found) return found;
  const names = plan.services.flatMap((one) => namesOfService(one, clientNamespace));
  const known = plan.services.map((one) => `${one.name}.${one.namespace}`);
  const message = `Cannot find the service "${name}": the lab has ${listOf(known)}`;
  throw new PlanError('LAB_UNKNOWN_SERVICE', name, message, nearest(name, names));
}

/** A request target with the address to connect to, and the name to say in `Host`. */
export interface ResolvedTarget extends RequestTarget {
  /** Address to connect to; absent for a name that the client's own resolver must look up. */
  readonly address?: string;
  /** `host:port` as the user meant it. */
  readonly authority: string;
  /** The request as a URL a client program understands. */
  readonly url: string;
}

/**
 * Where a scenario's `to` leads for a client. A service stays a name, to be resolved in the
 * client's netns; nodes and the client outside have no cluster DNS, so they get the VIP.
 * @throws {PlanError} LAB_BAD_TARGET, LAB_UNKNOWN_POD, LAB_UNKNOWN_NODE, LAB_UNKNOWN_SERVICE.
 */
export function resolveTarget(
  plan: Plan,
  to: string,
  from: Party,
  ipFamily?: IpFamily,
): ResolvedTarget {
  const target = parseRequestTarget(to);
  if (typeof target === 'string') throw new PlanError('LAB_BAD_TARGET', to, target);
  if (target.scheme === 'dns' || target.scheme === 'dns-tcp') {
    return { ...target, ...dnsServer(plan, ipFamily), url: to };
  }
  const { name, address } = endOf(plan, target, from, ipFamily);
  const authority = `${bracketed(name)}:${target.port}`;
  const url = `${target.scheme}://${authority}${target.scheme === 'http' ? target.path : ''}`;
  return { ...target, ...(address === undefined ? {} : { address }), authority, url };
}

function dnsServer(
  { dnsServiceIp, secondDnsServiceIp }: Plan,
  ipFamily: IpFamily | undefined,
): { readonly address: string; readonly authority: string } {
  const address =
    [dnsServiceIp, secondDnsServiceIp].find(
      (one) => one !== undefined && familyOf(one) === ipFamily,
    ) ?? dnsServiceIp;
  return { address, authority: `${bracketed(address)}:53` };
}

function endOf(
  plan: Plan,
  { host }: RequestTarget,
  from: Party,
  ipFamily: IpFamily | undefined,
): { readonly name: string; readonly address?: string } {
  const numeric = (address: string): { name: string; address: string } => {
    return { name: address, address };
  };
  const of = (one: Addressed): { name: string; address: string } => {
    const address = addressOf(one, ipFamily ?? familiesOf(plan)[0]!);
    if (address !== undefined) return numeric(address);
    throw new PlanError(
      'LAB_BAD_TARGET',
      host.kind,
      `Cannot reach it by ${ipFamily}: the lab has none of it`,
    );
  };
  switch (host.kind) {
    case 'address': {
      const address = canonicalIp(host.address);
      const isWished = ipFamily === undefined || familyOf(host.address) === ipFamily;
      if (address !== undefined && isWished) return numeric(address);
      const wished = `Not an ${ipFamily === undefined ? '' : `${ipFamily} `}address`;
      throw new PlanError('LAB_BAD_TARGET', host.address, `${wished} "${host.address}"`);
    }
    case 'pod':
      return of(findPod(plan, host.pod));
    case 'node':
      return of(addressedAs('address', findNode(plan, host.node)));
    case 'outside':
      return of(plan.outside);
    case 'self':
      if (from.kind !== 'fabric') return of(from);
      throw new PlanError('LAB_BAD_TARGET', 'self', 'Cannot use "self": the fabric has no address');
    case 'name': {
      const namespace = namespaceOf(from);
      const service = findService(plan, host.name, namespace);
      if (namespace !== undefined) return { name: host.name };
      const address = addressesOfService(service).find(
        (one) => ipFamily === undefined || familyOf(one) === ipFamily,
      );
      if (address !== undefined) return { name: host.name, address };
      const what = ipFamily === undefined ? 'address' : `${ipFamily} address`;
      const message = `Cannot reach "${host.name}": the service has no ${what} and no such pods`;
      throw new PlanError('LAB_BAD_TARGET', host.name, message);
    }
  }
}

/** Namespace whose names come first for a client; nodes and the client outside have none. */
function namespaceOf(from: Party): string | undefined {
  if (from.kind === 'pod') return from.pod.namespace;
  return from.kind === 'guest' ? from.guest.namespace : undefined;
}

/** Its virtual addresses, or those of the pods of a headless one. */
function addressesOfService(service: ServicePlan): readonly string[] {
  const vips = vipsOf(service);
  return vips.length > 0 ? vips : service.endpoints.flatMap(addressesOf);
}

function listOf(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  const shown = names.slice(0, 12).join(', ');
  return names.length > 12 ? `${shown} and ${names.length - 12} more` : shown;
}
