import { isIpv6 } from './address.ts';
import {
  type Candidate,
  loadBalance,
  type Random,
  type Resolution,
  targetPort,
} from './load-balance.ts';
import { ProxyError } from './proxy-error.ts';
import type { MeshState } from './state/mesh-state.ts';
import type { Service } from './state/service.ts';
import {
  formatDestination,
  type GatewayAddress,
  type Workload,
  workloadIdentity,
} from './state/workload.ts';
import { parseSpiffe } from '../identity/spiffe.ts';

/** A workload chosen to receive a connection, and the service it was chosen for. */
export interface Upstream {
  readonly workload: Workload;
  readonly port: number;
  readonly service?: Service;
}

/** Where to dial: an address, or a name that is still to be resolved. */
export type DialAddress =
  | { readonly kind: 'ip'; readonly ip: string; readonly port: number }
  | {
      readonly kind: 'hostname';
      readonly hostname: string;
      readonly port: number;
      readonly prefersIpv6: boolean;
      readonly uid: string;
    };

/** What choosing needs to know: the mesh, who asks, and a source of randomness. */
export interface ChoiceContext {
  readonly state: MeshState;
  readonly source: Workload;
  readonly random: Random;
}

/** Load-balances a service port; undefined when no endpoint serves it. */
export function upstreamOfService(
  context: ChoiceContext,
  service: Service,
  port: number,
  resolution: Resolution,
): Upstream | undefined {
  const { state, source, random } = context;
  const picked: Candidate | undefined = loadBalance(
    state,
    source,
    service,
    port,
    resolution,
    random,
  );
  const target = picked && targetPort(service, picked, port);
  return picked && target !== undefined
    ? { workload: picked.workload, port: target, service }
    : undefined;
}

/** The workload behind a waypoint or network gateway address, undefined when there is none. */
export function upstreamOfGateway(
  context: ChoiceContext,
  gateway: GatewayAddress,
): Upstream | undefined {
  const { state, source } = context;
  const { destination, hboneMtlsPort: port } = gateway;
  if (destination.kind === 'address') {
    const workload = state.workloadByIp(destination.network, destination.ip);
    if (workload) return { workload, port };
    const service = state.serviceByVip(destination.network, destination.ip, source.namespace);
    return service && upstreamOfService(context, service, port, 'waypoint');
  }
  const service = state.service(destination.namespace, destination.hostname);
  if (service) return upstreamOfService(context, service, port, 'waypoint');
  const [workload] = state.workloadsByHostname(destination.hostname);
  return workload && { workload, port };
}

/**
 * The address of a workload to dial: the dialled one if it is its own, else one of the family
 * dialled that the service allows, else its host name.
 * @throws ProxyError when it has neither
 */
export function dialAddress(upstream: Upstream, dialledIp: string): DialAddress {
  const { workload, port, service } = upstream;
  if (workload.workloadIps.includes(dialledIp)) return { kind: 'ip', ip: dialledIp, port };
  const families = service?.ipFamilies;
  const allowed = workload.workloadIps.filter((ip) => {
    if (families === 'IPv4') return !isIpv6(ip);
    return families !== 'IPv6' || isIpv6(ip);
  });
  const prefersIpv6 = isIpv6(dialledIp);
  const ip = allowed.find((candidate) => isIpv6(candidate) === prefersIpv6) ?? allowed[0];
  if (ip !== undefined) return { kind: 'ip', ip, port };
  if (workload.hostname) {
    return { kind: 'hostname', hostname: workload.hostname, port, prefersIpv6, uid: workload.uid };
  }
  throw noAddress(workload.uid);
}

/** The failure to find any address of a workload. */
export function noAddress(uid: string): ProxyError {
  return new ProxyError('no-address', `no ip addresses were resolved for workload: ${uid}`);
}

/** Identities the upstream may present: the service's SPIFFE names, then the workload's own. */
export function expectedIdentities(upstream: Upstream): readonly string[] {
  const names = upstream.service?.subjectAltNames ?? [];
  return [...names.filter((name) => parseSpiffe(name)), workloadIdentity(upstream.workload)];
}

/** Whether the caller itself is one of the workloads behind a waypoint address. */
export function isWaypointItself(
  state: MeshState,
  waypoint: GatewayAddress,
  source: Workload,
  sourceIp: string,
): boolean {
  const identity = workloadIdentity(source);
  return waypointWorkloads(state, waypoint, source.namespace).some(
    (workload) =>
      workloadIdentity(workload) === identity && workload.workloadIps.includes(sourceIp),
  );
}

/** All workloads that a waypoint address may mean. */
export function waypointWorkloads(
  state: MeshState,
  { destination }: GatewayAddress,
  clientNamespace: string,
): readonly Workload[] {
  const ofService = (service: Service): Workload[] =>
    [...service.endpoints.keys()].flatMap((uid) => state.workloads.get(uid) ?? []);
  if (destination.kind === 'address') {
    const workload = state.workloadByIp(destination.network, destination.ip);
    if (workload) return [workload];
    const service = state.serviceByVip(destination.network, destination.ip, clientNamespace);
    return service ? ofService(service) : [];
  }
  const service = state.service(destination.namespace, destination.hostname);
  return service ? ofService(service) : state.workloadsByHostname(destination.hostname);
}

/** The failure to find the workload behind a waypoint. */
export function unknownWaypoint(waypoint: GatewayAddress): ProxyError {
  const name = formatDestination(waypoint.destination);
  return new ProxyError('unknown-waypoint', `unknown waypoint: waypoint ${name} not found`);
}
