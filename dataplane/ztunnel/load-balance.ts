import type { MeshState } from './state/mesh-state.ts';
import type { RoutingScope, Service, ServiceEndpoint } from './state/service.ts';
import type { Workload } from './state/workload.ts';

/** What the endpoint is wanted for: the service's own port, or its waypoint's. */
export type Resolution = 'standard' | 'waypoint';

export interface Candidate {
  readonly endpoint: ServiceEndpoint;
  readonly workload: Workload;
}

/** Returns a number from 0 (inclusive) to 1 (exclusive). */
export type Random = () => number;

/**
 * One endpoint of a service for a client, or undefined when none can serve that port: candidates
 * filtered, narrowed by locality, then drawn by capacity (`src/state.rs` load_balance).
 */
export function loadBalance(
  state: MeshState,
  source: Workload,
  service: Service,
  servicePort: number,
  resolution: Resolution,
  random: Random,
): Candidate | undefined {
  const usable = candidates(state, source, service, servicePort, resolution);
  return weightedPick(narrow(source, service, usable), random);
}

function candidates(
  state: MeshState,
  source: Workload,
  service: Service,
  servicePort: number,
  resolution: Resolution,
): Candidate[] {
  const found: Candidate[] = [];
  if (resolution === 'standard' && !service.ports.has(servicePort)) return found;
  for (const endpoint of service.endpoints.values()) {
    const workload = state.workloads.get(endpoint.workloadUid);
    if (!workload || !isReachable(source, workload)) continue;
    if (hasPort(service, endpoint, workload, servicePort, resolution)) {
      found.push({ endpoint, workload });
    }
  }
  return found;
}

function isReachable(source: Workload, workload: Workload): boolean {
  if (workload.workloadIps.length > 0 || workload.hostname) return true;
  return workload.network !== source.network && workload.networkGateway !== undefined;
}

function hasPort(
  service: Service,
  endpoint: ServiceEndpoint,
  workload: Workload,
  servicePort: number,
  resolution: Resolution,
): boolean {
  const target = service.ports.get(servicePort);
  if (target === undefined) return resolution === 'waypoint' && !!workload.applicationTunnel;
  return target !== 0 || resolution === 'waypoint' || endpoint.port.has(servicePort);
}

/** Keeps those that the service's load balancer prefers for this source. */
function narrow(
  source: Workload,
  service: Service,
  all: readonly Candidate[],
): readonly Candidate[] {
  const balancer = service.loadBalancer;
  if (!balancer || balancer.mode === 'Standard' || balancer.mode === 'Passthrough') return all;
  const preferences = balancer.routingPreferences;
  const ranks = all.map(({ workload }) => localityRank(preferences, source, workload));
  const isNetworkFirst = preferences[0] === 'Network';
  const full = isNetworkFirst ? 2 * preferences.length - 1 : preferences.length;
  const wanted = balancer.mode === 'Strict' ? full : ranks.reduce((a, b) => Math.max(a, b), 0);
  return all.filter((_, i) => ranks[i] === wanted);
}

/**
 * How well a workload fits the preferences: matches before the first mismatch. With NETWORK first, a
 * network match outweighs all others and a mismatch does not end the walk.
 */
export function localityRank(
  preferences: readonly RoutingScope[],
  source: Workload,
  workload: Workload,
): number {
  let rank = 0;
  for (const [index, scope] of preferences.entries()) {
    const matches = scopeValue(scope, source) === scopeValue(scope, workload);
    const isLeadingNetwork = scope === 'Network' && index === 0;
    if (isLeadingNetwork && !matches) continue;
    if (!matches) break;
    rank += isLeadingNetwork ? preferences.length : 1;
  }
  return rank;
}

function scopeValue(scope: RoutingScope, workload: Workload): string {
  switch (scope) {
    case 'Network':
      return workload.network;
    case 'Region':
      return workload.locality.region;
    case 'Zone':
      return workload.locality.zone;
    case 'Subzone':
      return workload.locality.subzone;
    case 'Node':
      return workload.node;
    case 'Cluster':
      return workload.clusterId;
  }
}

function weightedPick(all: readonly Candidate[], random: Random): Candidate | undefined {
  const total = all.reduce((sum, { workload }) => sum + workload.capacity, 0);
  let point = random() * total;
  for (const candidate of all) {
    const weight = candidate.workload.capacity;
    if (weight > 0 && point < weight) return candidate;
    point -= weight;
  }
  return undefined;
}

/** Port to dial on the endpoint, undefined when none is known. */
export function targetPort(
  service: Service,
  { endpoint, workload }: Candidate,
  servicePort: number,
): number | undefined {
  const own = endpoint.port.get(servicePort);
  if (own !== undefined) return own;
  const target = service.ports.get(servicePort);
  if (target !== undefined && target > 0) return target;
  return workload.applicationTunnel?.port !== undefined ? servicePort : undefined;
}
