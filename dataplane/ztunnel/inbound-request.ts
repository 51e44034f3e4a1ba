import { type Endpoint, isIpv6, isLoopback, parseEndpoint } from './address.ts';
import type { WorkloadIdentity } from './config.ts';
import { OWN_PORTS, selfCall } from './outbound-plan.ts';
import { ProxyError, unknownLocalWorkload } from './proxy-error.ts';
import type { MeshState } from './state/mesh-state.ts';
import type { Service } from './state/service.ts';
import type { GatewayAddress, Workload } from './state/workload.ts';
import { waypointWorkloads } from './upstream.ts';

/** A CONNECT as it arrived, with the addresses of the connection it arrived on. */
export interface InboundRequest {
  readonly state: MeshState;
  /** The workload this proxy runs for, undefined while unknown. */
  readonly local: Workload | undefined;
  readonly identity: WorkloadIdentity;
  readonly connection: { readonly peer: Endpoint; readonly local: Endpoint };
  readonly method: string;
  readonly authority: string;
  /** Own network (`NETWORK`). */
  readonly network: string;
  readonly localhostAppTunnel: boolean;
}

/** Where the bytes of a CONNECT go. Policies judge `upstream`. */
export interface InboundTarget {
  readonly local: Workload;
  readonly upstream: Endpoint;
  /** Whether to take on the client's address towards the app. */
  readonly preservesSource: boolean;
  /** The service asked for by name. */
  readonly service?: Service;
  /** Destination to put into a PROXY protocol header before the app's bytes. */
  readonly proxyProtocolDestination?: Endpoint;
}

/** A CONNECT that is answered with an error status. */
export class InboundRefusal extends Error {
  override readonly name = 'InboundRefusal';
  readonly code = 'DATAPLANE_INBOUND_REFUSED';
  readonly status: 400 | 401 | 503;
  readonly reason: ProxyError;
  constructor(status: 400 | 401 | 503, reason: ProxyError) {
    super(reason.message, { cause: reason });
    this.status = status;
    this.reason = reason;
  }
}

type Authority =
  | { readonly kind: 'address'; readonly endpoint: Endpoint }
  | { readonly kind: 'hostname'; readonly hostname: string; readonly port: number };

/**
 * Checks a CONNECT in the order of ztunnel's `src/proxy/inbound.rs` and says where it goes.
 * @throws InboundRefusal with the status to answer
 */
export function resolveInbound(request: InboundRequest): InboundTarget {
  const { method, local } = request;
  if (method !== 'CONNECT') {
    throw refuse(400, 'bad-method', `expected method CONNECT, got ${method}`);
  }
  const authority = parseAuthority(request.authority);
  if (!authority) {
    const message = `no valid authority pseudo header: ${request.authority}`;
    throw refuse(400, 'bad-authority', message);
  }
  if (!local) throw new InboundRefusal(503, unknownLocalWorkload(request.identity));
  checkDestination(request, local, authority);
  const { port, service } = nextPort(request, local, authority);
  if (OWN_PORTS.includes(port)) throw new InboundRefusal(503, selfCall());
  return throughAppTunnel(request, local, authority, port, service);
}

function refuse(
  status: 400 | 503,
  kind: ConstructorParameters<typeof ProxyError>[0],
  message: string,
): InboundRefusal {
  return new InboundRefusal(status, new ProxyError(kind, message));
}

function parseAuthority(text: string): Authority | undefined {
  const endpoint = parseEndpoint(text);
  if (endpoint) return { kind: 'address', endpoint };
  const match = /^([^:[\]/@\s]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (!match?.[1] || port > 65_535) return undefined;
  return { kind: 'hostname', hostname: match[1], port };
}

function checkDestination(request: InboundRequest, local: Workload, authority: Authority): void {
  if (authority.kind === 'hostname' || local.applicationTunnel) return;
  const { ip } = authority.endpoint;
  const connectionIp = request.connection.local.ip;
  if (ip === connectionIp || isWaypointOf(request, local, ip)) return;
  throw refuse(400, 'ip-mismatch', `ip mismatch: ${connectionIp} != ${ip}`);
}

/** Whether the address belongs to something whose waypoint is this very workload. */
function isWaypointOf(request: InboundRequest, local: Workload, ip: string): boolean {
  const { state, network } = request;
  const service = state.serviceByVip(network, ip, local.namespace);
  const waypoints: (GatewayAddress | undefined)[] = service
    ? [service.waypoint, ...service.weightedWaypoints.map(({ destination }) => destination)]
    : [state.workloadByIp(network, ip)?.waypoint];
  return waypoints.some(
    (waypoint) =>
      waypoint &&
      waypointWorkloads(state, waypoint, local.namespace).some(({ uid }) => uid === local.uid),
  );
}

function nextPort(
  request: InboundRequest,
  local: Workload,
  authority: Authority,
): { readonly port: number; readonly service?: Service } {
  if (authority.kind === 'address') return { port: authority.endpoint.port };
  const { hostname, port } = authority;
  const service = request.state.serviceByHostname(hostname, local.namespace);
  if (!service) {
    throw refuse(503, 'unknown-hostname', `no service or workload for hostname: ${hostname}`);
  }
  const target = service.endpoints.get(local.uid)?.port.get(port) ?? service.ports.get(port);
  if (!target) {
    const message = `requested service ${hostname}:${port} found, but cannot resolve port`;
    throw refuse(503, 'no-port', message);
  }
  return { port: target, service };
}

function throughAppTunnel(
  request: InboundRequest,
  local: Workload,
  authority: Authority,
  port: number,
  service: Service | undefined,
): InboundTarget {
  const { ip } = request.connection.local;
  const tunnel = local.applicationTunnel;
  const upstream = { ip, port: tunnel?.port ?? port };
  if (tunnel?.protocol !== 'PROXY') {
    return { local, upstream, preservesSource: !isLoopback(ip), service };
  }
  const proxyProtocolDestination = proxyDestination(authority, service, local);
  const usesLoopback = request.localhostAppTunnel;
  const loopback = isIpv6(ip) ? '::1' : '127.0.0.1';
  return {
    local,
    upstream: usesLoopback ? { ...upstream, ip: loopback } : upstream,
    preservesSource: !usesLoopback,
    service,
    proxyProtocolDestination,
  };
}

function proxyDestination(
  authority: Authority,
  service: Service | undefined,
  local: Workload,
): Endpoint {
  if (authority.kind === 'address') return authority.endpoint;
  const vips = service?.vips ?? [];
  const sameNetwork = vips.filter(({ network }) => network === local.network);
  const preferred = sameNetwork.length > 0 ? sameNetwork : vips;
  const vip = preferred.find(({ ip }) => !isIpv6(ip)) ?? preferred[0];
  if (!vip) {
    const message = `requested service ${authority.hostname} found, but has no IP addresses`;
    throw refuse(503, 'no-address', message);
  }
  return { ip: vip.ip, port: authority.port };
}
