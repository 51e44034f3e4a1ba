/** Where a gateway or waypoint is: an address on a network, or a service's or workload's host name. */
export type GatewayDestination =
  | { readonly kind: 'address'; readonly network: string; readonly ip: string }
  | { readonly kind: 'hostname'; readonly namespace: string; readonly hostname: string };

/** Waypoint or network gateway of a workload or service. */
export interface GatewayAddress {
  readonly destination: GatewayDestination;
  readonly hboneMtlsPort: number;
}

export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

/** PROXY protocol v2 before the app's bytes, and/or another port, for a waypoint behind ztunnel. */
export interface ApplicationTunnel {
  readonly protocol: 'NONE' | 'PROXY';
  readonly port?: number;
}

/** service port → target port; target 0 stands for a named port. */
export type PortMap = ReadonlyMap<number, number>;

/** One workload as ztunnel's `src/state/workload.rs` knows it; addresses are canonical text. */
export interface Workload {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly trustDomain: string;
  readonly workloadIps: readonly string[];
  readonly protocol: 'TCP' | 'HBONE';
  readonly networkMode: 'Standard' | 'HostNetwork';
  readonly network: string;
  readonly node: string;
  readonly clusterId: string;
  readonly workloadName: string;
  readonly workloadType: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly hostname: string;
  readonly status: 'Healthy' | 'Unhealthy';
  readonly capacity: number;
  readonly locality: Locality;
  readonly authorizationPolicies: readonly string[];
  readonly nativeTunnel: boolean;
  readonly waypoint?: GatewayAddress;
  readonly networkGateway?: GatewayAddress;
  readonly applicationTunnel?: ApplicationTunnel;
  /** Endpoint membership: `namespace/hostname` → port map. */
  readonly services: ReadonlyMap<string, PortMap>;
}

/** `network/ip` or `namespace/hostname`, as files and `/config_dump` write it. */
export function formatDestination(destination: GatewayDestination): string {
  return destination.kind === 'address'
    ? `${destination.network}/${destination.ip}`
    : `${destination.namespace}/${destination.hostname}`;
}

/** `spiffe://<trust domain>/ns/<namespace>/sa/<service account>` of a workload. */
export function workloadIdentity(workload: Workload): string {
  const { trustDomain, namespace, serviceAccount } = workload;
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
}
