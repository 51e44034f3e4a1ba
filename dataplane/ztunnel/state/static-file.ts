import { canonicalIp, parseCidr } from '../address.ts';
import type { Policy } from './policy.ts';
import { readPolicy } from './static-policy.ts';
import type { LoadBalancer, NetworkAddress, Service, ServiceEndpoint } from './service.ts';
import type {
  ApplicationTunnel,
  GatewayAddress,
  GatewayDestination,
  Locality,
  PortMap,
  Workload,
} from './workload.ts';
import { parseYaml, type YamlValue } from './yaml-reader.ts';

/** What a state file holds; services have no endpoints yet but those it names itself. */
export interface StaticState {
  readonly workloads: readonly Workload[];
  readonly policies: readonly Policy[];
  readonly services: readonly Service[];
}

const MAX_U16 = 65_535;
const MAX_U32 = 0xffffffff;

/**
 * Reads ztunnel's local configuration (`LOCAL_XDS_PATH`): camelCase keys, unknown keys refused,
 * data-carrying enums as YAML tags, defaults as in `src/state/workload.rs`.
 * @throws StaticFileError naming line and column.
 */
export function parseStaticFile(file: string, text: string): StaticState {
  const root = parseYaml(file, text);
  if (root.isNull()) return { workloads: [], policies: [], services: [] };
  const fields = root.fields(['workloads', 'policies', 'services']);
  const list = (value: YamlValue | undefined): YamlValue[] =>
    value === undefined || value.isNull() ? [] : value.list();
  return {
    workloads: list(fields.workloads).map(readWorkload),
    policies: list(fields.policies).map(readPolicy),
    services: list(fields.services).map(readService),
  };
}

const WORKLOAD_KEYS = [
  'uid',
  'name',
  'namespace',
  'serviceAccount',
  'trustDomain',
  'workloadIps',
  'protocol',
  'networkMode',
  'network',
  'node',
  'clusterId',
  'workloadName',
  'workloadType',
  'canonicalName',
  'canonicalRevision',
  'hostname',
  'status',
  'capacity',
  'locality',
  'authorizationPolicies',
  'nativeTunnel',
  'waypoint',
  'networkGateway',
  'applicationTunnel',
  'services',
] as const;

function readWorkload(value: YamlValue): Workload {
  const f = value.fields(WORKLOAD_KEYS);
  const text = (v: YamlValue | undefined): string => v?.string() ?? '';
  return {
    uid: text(f.uid),
    name: text(f.name),
    namespace: value.required(f, 'namespace').string(),
    serviceAccount: text(f.serviceAccount),
    trustDomain: text(f.trustDomain),
    workloadIps: value.required(f, 'workloadIps').list().map(readIp),
    protocol: f.protocol?.choice(['TCP', 'HBONE']) ?? 'TCP',
    networkMode: f.networkMode?.choice(['Standard', 'HostNetwork']) ?? 'Standard',
    network: text(f.network),
    node: text(f.node),
    clusterId: text(f.clusterId),
    workloadName: text(f.workloadName),
    workloadType: text(f.workloadType),
    canonicalName: text(f.canonicalName),
    canonicalRevision: text(f.canonicalRevision),
    hostname: text(f.hostname),
    status: f.status?.choice(['Healthy', 'Unhealthy']) ?? 'Healthy',
    capacity: f.capacity?.integer(0, MAX_U32) ?? 1,
    locality: readLocality(f.locality),
    authorizationPolicies: f.authorizationPolicies?.list().map((v) => v.string()) ?? [],
    nativeTunnel: f.nativeTunnel?.boolean() ?? false,
    waypoint: optional(f.waypoint, readGateway),
    networkGateway: optional(f.networkGateway, readGateway),
    applicationTunnel: optional(f.applicationTunnel, readTunnel),
    services: readMembership(value.required(f, 'services')),
  };
}

function optional<T>(value: YamlValue | undefined, read: (v: YamlValue) => T): T | undefined {
  return value === undefined || value.isNull() ? undefined : read(value);
}

function readIp(value: YamlValue): string {
  const text = value.string();
  return canonicalIp(text) ?? value.fail(`is "${text}", an IP address is wanted`);
}

function readLocality(value: YamlValue | undefined): Locality {
  const f = value?.fields(['region', 'zone', 'subzone']) ?? {};
  const text = (v: YamlValue | undefined): string => v?.string() ?? '';
  return { region: text(f.region), zone: text(f.zone), subzone: text(f.subzone) };
}

function readDestination(value: YamlValue): GatewayDestination {
  const text = value.string();
  const slash = text.indexOf('/');
  if (slash < 0) {
    return value.fail(`is "${text}", "network/ip" or "namespace/hostname" is wanted`);
  }
  const [first, second] = [text.slice(0, slash), text.slice(slash + 1)];
  const ip = canonicalIp(second);
  if (ip !== undefined) return { kind: 'address', network: first, ip };
  return { kind: 'hostname', namespace: first, hostname: second };
}

function readGateway(value: YamlValue): GatewayAddress {
  const f = value.fields(['destination', 'hboneMtlsPort']);
  return {
    destination: readDestination(value.required(f, 'destination')),
    hboneMtlsPort: value.required(f, 'hboneMtlsPort').integer(0, MAX_U16),
  };
}

function readTunnel(value: YamlValue): ApplicationTunnel {
  const f = value.fields(['protocol', 'port']);
  const port = optional(f.port, (v) => v.integer(0, MAX_U16));
  return {
    protocol: value.required(f, 'protocol').choice(['NONE', 'PROXY']),
    port: port || undefined,
  };
}

function readPorts(value: YamlValue): PortMap {
  const ports = new Map<number, number>();
  for (const [key, target] of value.entries()) {
    ports.set(key.integer(0, MAX_U16), target.integer(0, MAX_U16));
  }
  return ports;
}

function readMembership(value: YamlValue): ReadonlyMap<string, PortMap> {
  return new Map(value.entries().map(([key, ports]) => [key.string(), readPorts(ports)] as const));
}

const SERVICE_KEYS = [
  'name',
  'namespace',
  'hostname',
  'vips',
  'cidrVips',
  'ports',
  'endpoints',
  'subjectAltNames',
  'waypoint',
  'weightedWaypoints',
  'loadBalancer',
  'ipFamilies',
  'canonical',
  'visibility',
] as const;

function readService(value: YamlValue): Service {
  const f = value.fields(SERVICE_KEYS);
  return {
    name: value.required(f, 'name').string(),
    namespace: value.required(f, 'namespace').string(),
    hostname: value.required(f, 'hostname').string(),
    vips: value.required(f, 'vips').list().map(readVip),
    cidrVips: f.cidrVips?.list().map(readCidrVip) ?? [],
    ports: readPorts(value.required(f, 'ports')),
    endpoints: optional(f.endpoints, readEndpoints) ?? new Map(),
    subjectAltNames: f.subjectAltNames?.list().map((v) => v.string()) ?? [],
    waypoint: optional(f.waypoint, readGateway),
    weightedWaypoints: f.weightedWaypoints?.list().map(readWeighted) ?? [],
    loadBalancer: optional(f.loadBalancer, readLoadBalancer),
    ipFamilies: optional(f.ipFamilies, (v) => v.choice(['IPv4', 'IPv6', 'Dual'])),
    canonical: f.canonical?.boolean() ?? false,
    visibility: f.visibility?.choice(['Public', 'Namespace']) ?? 'Public',
  };
}

function readVip(value: YamlValue): NetworkAddress {
  const destination = readDestination(value);
  if (destination.kind === 'address') return { network: destination.network, ip: destination.ip };
  return value.fail(`is "${value.string()}", "network/ip" is wanted`);
}

function readCidrVip(value: YamlValue): Service['cidrVips'][number] {
  const f = value.fields(['network', 'cidr']);
  const range = value.required(f, 'cidr');
  const cidr = parseCidr(range.string()) ?? range.fail('is no address/length');
  return { network: f.network?.string() ?? '', cidr };
}

function readEndpoints(value: YamlValue): ReadonlyMap<string, ServiceEndpoint> {
  const endpoints = new Map<string, ServiceEndpoint>();
  for (const [key, body] of value.entries()) {
    const f = body.fields(['workloadUid', 'port', 'status']);
    endpoints.set(key.string(), {
      workloadUid: body.required(f, 'workloadUid').string(),
      port: readPorts(body.required(f, 'port')),
      status: f.status?.choice(['Healthy', 'Unhealthy']) ?? 'Healthy',
    });
  }
  return endpoints;
}

function readWeighted(value: YamlValue): Service['weightedWaypoints'][number] {
  const f = value.fields(['destination', 'weight']);
  return {
    destination: readGateway(value.required(f, 'destination')),
    weight: value.required(f, 'weight').integer(0, MAX_U32),
  };
}

function readLoadBalancer(value: YamlValue): LoadBalancer {
  const f = value.fields(['routingPreferences', 'mode', 'healthPolicy']);
  const scopes = ['Network', 'Region', 'Zone', 'Subzone', 'Node', 'Cluster'] as const;
  const modes = ['Standard', 'Strict', 'Failover', 'Passthrough'] as const;
  return {
    routingPreferences: value
      .required(f, 'routingPreferences')
      .list()
      .map((v) => v.choice(scopes)),
    mode: value.required(f, 'mode').choice(modes),
    healthPolicy: value.required(f, 'healthPolicy').choice(['OnlyHealthy', 'AllowAll']),
  };
}
