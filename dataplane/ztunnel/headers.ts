import { randomUUID } from 'node:crypto';
import { type Endpoint, formatEndpoint } from './address.ts';
import type { Workload } from './state/workload.ts';

/** What `baggage` says of a workload; absent for what it does not say. */
export interface Baggage {
  readonly clusterId?: string;
  readonly namespace?: string;
  readonly workloadName?: string;
  readonly workloadType?: string;
  readonly canonicalName?: string;
  readonly canonicalRevision?: string;
  readonly region?: string;
  readonly zone?: string;
}

const WORKLOAD_TYPES = ['deployment', 'cronjob', 'pod', 'job'] as const;

/** The `baggage` header for a workload (`src/baggage.rs`): fixed order, empty values left out. */
export function formatBaggage(workload: Workload, clusterId: string): string {
  const type = workload.workloadType.toLowerCase() || 'deployment';
  const { region, zone } = workload.locality;
  return (
    baggageEntry('k8s.cluster.name', workload.clusterId || clusterId) +
    baggageEntry('k8s.namespace.name', workload.namespace) +
    baggageEntry(`k8s.${type}.name`, workload.workloadName) +
    baggageEntry('service.name', workload.canonicalName) +
    baggageEntry('service.version', workload.canonicalRevision) +
    baggageEntry('cloud.region', region) +
    baggageEntry('cloud.availability_zone', zone)
  ).slice(1);
}

function baggageEntry(key: string, value: string): string {
  return value === '' ? '' : `,${key}=${value}`;
}

/** Reads a `baggage` header; unknown keys and empty values are passed over. */
export function parseBaggage(header: string): Baggage {
  const values = new Map<string, string>();
  for (const entry of header.split(',')) {
    const equals = entry.indexOf('=');
    const value = equals < 0 ? '' : entry.slice(equals + 1).trim();
    if (value !== '') values.set(entry.slice(0, equals).trim(), value);
  }
  const workloadType = WORKLOAD_TYPES.find((type) => values.has(`k8s.${type}.name`));
  return {
    clusterId: values.get('k8s.cluster.name'),
    namespace: values.get('k8s.namespace.name'),
    workloadName: values.get(`k8s.${workloadType ?? 'deployment'}.name`),
    workloadType,
    canonicalName: values.get('service.name'),
    canonicalRevision: values.get('service.version'),
    region: values.get('cloud.region'),
    zone: values.get('cloud.availability_zone'),
  };
}

/** The `forwarded` header: `for="10.0.0.1:80";host=example.com` (RFC 7239, host unquoted). */
export function formatForwarded(client: Endpoint, serviceHostname: string | undefined): string {
  const host = serviceHostname === undefined ? '' : `;host=${serviceHostname}`;
  return `for="${formatEndpoint(client)}"${host}`;
}

/** The service's name out of a `forwarded` header, if it has one. */
export function parseForwardedHost(header: string): string | undefined {
  if (!/^[\x00-\x7f]*$/.test(header)) return undefined;
  const part = header.split(';').find((piece) => piece.trim().startsWith('host='));
  const host = part?.trim().slice('host='.length).replaceAll('"', '');
  return host || undefined;
}

/** A new `traceparent` (W3C Trace Context), not sampled, as ztunnel makes one per connection. */
export function newTraceparent(): string {
  const digits = randomDigits() + randomDigits();
  return `00-${digits.slice(0, 32)}-${digits.slice(32, 48)}-00`;
}

/**
 * 30 random hexadecimal digits: those of a UUID that are not fixed. UUIDs come from a pool of random
 * bytes, which costs a tenth of asking the system's generator each time.
 */
function randomDigits(): string {
  const id = randomUUID();
  return id.slice(0, 8) + id.slice(9, 13) + id.slice(15, 18) + id.slice(20, 23) + id.slice(24);
}

/** The sender's `traceparent` when it has the right length, else a new one. */
export function acceptTraceparent(header: string | undefined): string {
  return header?.length === 55 ? header : newTraceparent();
}
