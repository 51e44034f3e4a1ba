import { parseIp } from '../../../topologies/ip.ts';
import { addressesOf, vipsOf } from '../../plan/families.ts';
import type { Plan, PodPlan, ServicePlan } from '../../plan/plan.ts';

/** Seconds; what CoreDNS's kubernetes plugin answers with by default. */
export const TTL_SECONDS = 5;

export type ZoneRecord = { readonly name: string } & (
  | { readonly type: 'A' | 'AAAA'; readonly address: string }
  | {
      readonly type: 'SRV';
      readonly port: number;
      readonly target: string;
      readonly weight: number;
    }
  | { readonly type: 'PTR'; readonly target: string }
  | { readonly type: 'TXT'; readonly text: string }
);

/** All records of the cluster, by name in lower case without the final dot. */
export interface Zone {
  readonly domain: string;
  readonly records: ReadonlyMap<string, readonly ZoneRecord[]>;
  /** Names that exist only because something below them does; they answer with no data. */
  readonly parents: ReadonlySet<string>;
}

/**
 * The names a cluster DNS serves, after the Kubernetes DNS specification 1.1.0 (kubernetes/dns,
 * docs/specification.md): services, headless services with their endpoints, SRV of named ports,
 * PTR, pods by address, `dns-version`.
 */
export function buildZone(plan: Plan): Zone {
  const records = new Map<string, ZoneRecord[]>();
  const domain = plan.clusterDomain;
  const add = (record: ZoneRecord): void => {
    const known = records.get(record.name);
    if (known) known.push(record);
    else records.set(record.name, [record]);
  };
  add({ name: `dns-version.${domain}`, type: 'TXT', text: '1.1.0' });
  for (const service of plan.services) addService(service, add);
  for (const pod of plan.pods) podRecords(pod, domain).forEach(add);
  return { domain, records, parents: parentsOf(records.keys()) };
}

/** Reverse name of an address (RFC 1035 §3.5, RFC 3596 §2.5). */
function reverseName(address: string): string {
  const parsed = parseIp(address);
  if (parsed?.family !== 'IPv6') return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  const digits = parsed.value.toString(16).padStart(32, '0');
  return `${[...digits].reverse().join('.')}.ip6.arpa`;
}

function typeOf(address: string): 'A' | 'AAAA' {
  return address.includes(':') ? 'AAAA' : 'A';
}

function addService(service: ServicePlan, add: (record: ZoneRecord) => void): void {
  const { hostname } = service;
  const vips = vipsOf(service);
  if (vips.length > 0) {
    for (const vip of vips) {
      add({ name: hostname, type: typeOf(vip), address: vip });
      add({ name: reverseName(vip), type: 'PTR', target: hostname });
    }
    for (const { name, protocol, port } of service.ports) {
      if (name === '') continue;
      add({
        name: srvName(name, protocol, hostname),
        type: 'SRV',
        port,
        target: hostname,
        weight: 100,
      });
    }
    return;
  }
  const endpoints = service.endpoints.flatMap((endpoint) =>
    addressesOf(endpoint).map((address) => ({ address, ports: endpoint.ports })),
  );
  for (const { address, ports } of endpoints) {
    const target = `${dashed(address)}.${hostname}`;
    add({ name: hostname, type: typeOf(address), address });
    add({ name: target, type: typeOf(address), address });
    add({ name: reverseName(address), type: 'PTR', target });
    for (const { name, protocol, port } of service.ports) {
      if (name === '') continue;
      const weight = Math.floor(100 / endpoints.length);
      const targetPort = ports[port] ?? port;
      add({
        name: srvName(name, protocol, hostname),
        type: 'SRV',
        port: targetPort,
        target,
        weight,
      });
    }
  }
}

function srvName(port: string, protocol: 'TCP' | 'UDP', hostname: string): string {
  return `_${port}._${protocol.toLowerCase()}.${hostname}`;
}

function podRecords(pod: PodPlan, domain: string): ZoneRecord[] {
  return addressesOf(pod).map((address) => {
    const name = `${dashed(address)}.${pod.namespace}.pod.${domain}`;
    return { name, type: typeOf(address), address };
  });
}

/** Dots and colons become dashes, and no label begins or ends with one. */
function dashed(address: string): string {
  const label = address.replaceAll(/[.:]/g, '-');
  return label.replace(/^-/, '0-').replace(/-$/, '-0');
}

function parentsOf(names: Iterable<string>): Set<string> {
  const parents = new Set<string>();
  for (const name of names) {
    for (let rest = name; rest.includes('.');) {
      rest = rest.slice(rest.indexOf('.') + 1);
      parents.add(rest);
    }
  }
  return parents;
}
