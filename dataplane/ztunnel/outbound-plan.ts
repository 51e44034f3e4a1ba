import { type Endpoint, formatEndpoint, isLoopback } from './address.ts';
import type { Random } from './load-balance.ts';
import { ProxyError } from './proxy-error.ts';
import type { MeshState } from './state/mesh-state.ts';
import type { Service } from './state/service.ts';
import { formatDestination, type GatewayAddress, type Workload } from './state/workload.ts';
import {
  type ChoiceContext,
  type DialAddress,
  dialAddress,
  expectedIdentities,
  isWaypointItself,
  type Upstream,
  unknownWaypoint,
  upstreamOfGateway,
  upstreamOfService,
} from './upstream.ts';

/** Ports ztunnel itself listens on in a pod: connections to them are loops. */
export const OWN_PORTS: readonly number[] = [15008, 15001, 15006];

/** Port of HBONE on every mesh workload. */
export const HBONE_PORT = 15008;

/** What is known of a captured connection when it is decided about. */
export interface OutboundRequest {
  readonly state: MeshState;
  /** The workload that opened it. */
  readonly source: Workload;
  readonly client: Endpoint;
  /** Original destination. */
  readonly target: Endpoint;
  /** Own network (`NETWORK`). */
  readonly network: string;
  readonly random: Random;
}

interface PlanCommon {
  readonly destination: DialAddress;
  /** The workload dialled, when the mesh knows it. */
  readonly workload?: Workload;
  /** The service that the client addressed, for logs and the `forwarded` header. */
  readonly service?: Service;
}

/** What to do with a captured connection; carrying it out asks no further questions. */
export type OutboundPlan =
  | (PlanCommon & { readonly kind: 'tcp' })
  | (PlanCommon & {
      readonly kind: 'hbone';
      readonly authority: string;
      readonly expectedIdentities: readonly string[];
    })
  | (PlanCommon & {
      readonly kind: 'double-hbone';
      readonly authority: string;
      /** Of the gateway (outer tunnel). */
      readonly expectedIdentities: readonly string[];
      /** Of the workload behind it (inner tunnel). */
      readonly innerIdentities: readonly string[];
    });

/** The refusal of connections to the proxy's own ports. */
export function selfCall(): ProxyError {
  return new ProxyError('self-call', 'attempted recursive call to ourselves');
}

/**
 * Decides about a captured connection as ztunnel's `src/proxy/outbound.rs` build_request does.
 * @throws ProxyError when it must be dropped
 */
export function planOutbound(request: OutboundRequest): OutboundPlan {
  const { state, source, target, network } = request;
  if (isLoopback(target.ip) && OWN_PORTS.includes(target.port)) throw selfCall();
  const addressed = state.workloadByIp(network, target.ip)
    ? undefined
    : state.serviceByVip(network, target.ip, source.namespace);
  const waypoint = addressed && waypointOf(addressed, request.random);
  if (addressed && waypoint) return viaServiceWaypoint(request, addressed, waypoint);

  const upstream = findUpstream(request);
  if (!upstream) {
    if (addressed && !isPassthrough(addressed)) {
      throw new ProxyError('no-upstream', `no healthy upstream: ${formatEndpoint(target)}`);
    }
    return { kind: 'tcp', destination: { kind: 'ip', ...target } };
  }
  if (upstream.workload.network !== source.network) return viaGateway(request, upstream);
  if (!upstream.service) {
    const plan = viaWorkloadWaypoint(request, upstream);
    if (plan) return plan;
  }
  return direct(request, upstream);
}

function isPassthrough(service: Service): boolean {
  return service.loadBalancer?.mode === 'Passthrough';
}

function waypointOf(service: Service, random: Random): GatewayAddress | undefined {
  const total = service.weightedWaypoints.reduce((sum, { weight }) => sum + weight, 0);
  let point = random() * total;
  for (const { destination, weight } of service.weightedWaypoints) {
    if (weight > 0 && point < weight) return destination;
    point -= weight;
  }
  return service.waypoint;
}

function viaServiceWaypoint(
  request: OutboundRequest,
  service: Service,
  waypoint: GatewayAddress,
): OutboundPlan {
  const upstream = upstreamOfGateway(request, waypoint);
  if (!upstream) throw unknownWaypoint(waypoint);
  if (upstream.workload.network !== request.source.network) {
    return viaGateway(request, { ...upstream, service });
  }
  return tunnelTo(request, upstream, service);
}

/** HBONE to a waypoint: the authority stays what the client dialled. */
function tunnelTo(request: OutboundRequest, upstream: Upstream, service?: Service): OutboundPlan {
  return {
    kind: 'hbone',
    destination: dialAddress(upstream, request.target.ip),
    authority: formatEndpoint(request.target),
    expectedIdentities: expectedIdentities(upstream),
    workload: upstream.workload,
    service,
  };
}

/** Here the service comes before the workload, and the network is the source workload's. */
function findUpstream(request: OutboundRequest): Upstream | undefined {
  const { state, source, target } = request;
  const service = state.serviceByVip(source.network, target.ip, source.namespace);
  if (service) {
    if (isPassthrough(service)) return undefined;
    return upstreamOfService(request, service, target.port, 'standard');
  }
  const workload = state.workloadByIp(source.network, target.ip);
  return workload && { workload, port: target.port };
}

function viaGateway(request: OutboundRequest, upstream: Upstream): OutboundPlan {
  const { service, workload } = upstream;
  const gateway = workload.networkGateway;
  if (!gateway || !service) throw new ProxyError('no-upstream', 'no valid routing destination');
  const context: ChoiceContext = request;
  const outer = upstreamOfGateway(context, gateway);
  if (!outer) {
    const name = formatDestination(gateway.destination);
    throw new ProxyError('unknown-waypoint', `unknown network gateway: ${name} not found`);
  }
  return {
    kind: 'double-hbone',
    destination: dialAddress(outer, request.target.ip),
    authority: `${service.hostname}:${request.target.port}`,
    expectedIdentities: expectedIdentities(outer),
    innerIdentities: service.subjectAltNames,
    workload,
    service,
  };
}

function viaWorkloadWaypoint(
  request: OutboundRequest,
  upstream: Upstream,
): OutboundPlan | undefined {
  const { waypoint } = upstream.workload;
  const { state, source, client } = request;
  if (!waypoint || isWaypointItself(state, waypoint, source, client.ip)) return undefined;
  const through = upstreamOfGateway(request, waypoint);
  if (!through) throw unknownWaypoint(waypoint);
  return tunnelTo(request, through);
}

function direct(request: OutboundRequest, upstream: Upstream): OutboundPlan {
  const { workload, service } = upstream;
  const destination = dialAddress(upstream, request.target.ip);
  if (workload.protocol === 'TCP') return { kind: 'tcp', destination, workload, service };
  const host = destination.kind === 'ip' ? destination.ip : destination.hostname;
  return {
    kind: 'hbone',
    destination: { ...destination, port: HBONE_PORT },
    authority: formatEndpoint({ ip: host, port: upstream.port }),
    expectedIdentities: expectedIdentities(upstream),
    workload,
    service,
  };
}
