import type { Cidr } from '../address.ts';
import type { GatewayAddress, PortMap } from './workload.ts';

/** A virtual address on a network. */
export interface NetworkAddress {
  readonly network: string;
  readonly ip: string;
}

export type RoutingScope = 'Network' | 'Region' | 'Zone' | 'Subzone' | 'Node' | 'Cluster';

export interface LoadBalancer {
  readonly routingPreferences: readonly RoutingScope[];
  readonly mode: 'Standard' | 'Strict' | 'Failover' | 'Passthrough';
  readonly healthPolicy: 'OnlyHealthy' | 'AllowAll';
}

/** A workload's membership of a service. */
export interface ServiceEndpoint {
  readonly workloadUid: string;
  readonly port: PortMap;
  readonly status: 'Healthy' | 'Unhealthy';
}

export interface WeightedWaypoint {
  readonly destination: GatewayAddress;
  readonly weight: number;
}

/** One service as ztunnel's `src/state/service.rs` knows it. */
export interface Service {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  readonly vips: readonly NetworkAddress[];
  readonly cidrVips: readonly { readonly network: string; readonly cidr: Cidr }[];
  readonly ports: PortMap;
  /** By workload uid. Unhealthy ones are in it only when the health policy allows them. */
  readonly endpoints: ReadonlyMap<string, ServiceEndpoint>;
  readonly subjectAltNames: readonly string[];
  readonly waypoint?: GatewayAddress;
  readonly weightedWaypoints: readonly WeightedWaypoint[];
  readonly loadBalancer?: LoadBalancer;
  readonly ipFamilies?: 'IPv4' | 'IPv6' | 'Dual';
  readonly canonical: boolean;
  readonly visibility: 'Public' | 'Namespace';
}

/** `namespace/hostname`. */
export function serviceKey(service: Pick<Service, 'namespace' | 'hostname'>): string {
  return `${service.namespace}/${service.hostname}`;
}

/** Whether a client of that namespace may see the service. */
export function isVisibleTo(service: Service, clientNamespace: string): boolean {
  return service.visibility === 'Public' || service.namespace === clientNamespace;
}
