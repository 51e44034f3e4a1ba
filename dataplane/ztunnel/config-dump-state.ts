import type { Cidr } from './address.ts';
import type { Policy, RbacMatch, StringMatch } from './state/policy.ts';
import type { NetworkAddress, Service } from './state/service.ts';
import { formatDestination, type GatewayAddress, type Workload } from './state/workload.ts';

type Json = Record<string, unknown>;

/** A workload as ztunnel serializes it: keys in order of the alphabet, default values left out. */
export function dumpWorkload(workload: Workload): Json {
  const { locality, applicationTunnel: tunnel } = workload;
  const hasLocality = locality.region || locality.zone || locality.subzone;
  return sortedWithout({
    authorizationPolicies: nonEmpty(workload.authorizationPolicies),
    applicationTunnel: tunnel && { port: tunnel.port ?? null, protocol: tunnel.protocol },
    canonicalName: workload.canonicalName || undefined,
    canonicalRevision: workload.canonicalRevision || undefined,
    capacity: workload.capacity,
    clusterId: workload.clusterId || undefined,
    hostname: workload.hostname || undefined,
    locality: hasLocality ? { ...locality } : undefined,
    name: workload.name,
    namespace: workload.namespace,
    nativeTunnel: workload.nativeTunnel || undefined,
    network: workload.network || undefined,
    networkGateway: workload.networkGateway && dumpGateway(workload.networkGateway),
    networkMode: workload.networkMode,
    node: workload.node || undefined,
    protocol: workload.protocol,
    serviceAccount: workload.serviceAccount || undefined,
    status: workload.status,
    trustDomain: workload.trustDomain || undefined,
    uid: workload.uid,
    waypoint: workload.waypoint && dumpGateway(workload.waypoint),
    workloadIps: workload.workloadIps,
    workloadName: workload.workloadName || undefined,
    workloadType: workload.workloadType || undefined,
  });
}

/** A service with the endpoints it has now. */
export function dumpService(service: Service): Json {
  const endpoints = [...service.endpoints].map(([uid, { workloadUid, port, status }]) => {
    return [uid, { port: Object.fromEntries(port), status, workloadUid }] as const;
  });
  const weighted = service.weightedWaypoints.map(({ destination, weight }) => {
    return { destination: dumpGateway(destination), weight };
  });
  return sortedWithout({
    canonical: service.canonical,
    cidrVips: nonEmpty(service.cidrVips.map(({ network, cidr }) => ({ cidr: cidr.text, network }))),
    endpoints: Object.fromEntries(endpoints),
    hostname: service.hostname,
    ipFamilies: service.ipFamilies,
    loadBalancer: service.loadBalancer,
    name: service.name,
    namespace: service.namespace,
    ports: Object.fromEntries(service.ports),
    subjectAltNames: service.subjectAltNames,
    vips: service.vips.map(formatVip),
    visibility: service.visibility,
    waypoint: service.waypoint && dumpGateway(service.waypoint),
    weightedWaypoints: nonEmpty(weighted),
  });
}

/** A policy; enums that carry data are objects with one key here (tags in the file). */
export function dumpPolicy(policy: Policy): Json {
  return {
    action: policy.action,
    dryRun: policy.dryRun,
    name: policy.name,
    namespace: policy.namespace,
    rules: policy.rules.map((clauses) => clauses.map((matches) => matches.map(dumpMatch))),
    scope: policy.scope,
  };
}

function dumpMatch(match: RbacMatch): Json {
  const strings = (values: readonly StringMatch[]): unknown => nonEmpty(values.map(dumpString));
  const ranges = (values: readonly Cidr[]): unknown => nonEmpty(values.map(({ text }) => text));
  return sortedWithout({
    destinationIps: ranges(match.destinationIps),
    destinationPorts: nonEmpty(match.destinationPorts),
    namespaces: strings(match.namespaces),
    notDestinationIps: ranges(match.notDestinationIps),
    notDestinationPorts: nonEmpty(match.notDestinationPorts),
    notNamespaces: strings(match.notNamespaces),
    notPrincipals: strings(match.notPrincipals),
    notServiceAccounts: nonEmpty(match.notServiceAccounts),
    notSourceIps: ranges(match.notSourceIps),
    principals: strings(match.principals),
    serviceAccounts: nonEmpty(match.serviceAccounts),
    sourceIps: ranges(match.sourceIps),
  });
}

function dumpString(match: StringMatch): Json {
  switch (match.kind) {
    case 'exact':
      return { Exact: match.value };
    case 'prefix':
      return { Prefix: match.value };
    case 'suffix':
      return { Suffix: match.value };
    case 'presence':
      return { Presence: [] };
  }
}

function dumpGateway({ destination, hboneMtlsPort }: GatewayAddress): Json {
  return { destination: formatDestination(destination), hboneMtlsPort };
}

function formatVip({ network, ip }: NetworkAddress): string {
  return `${network}/${ip}`;
}

function nonEmpty<T>(values: readonly T[]): readonly T[] | undefined {
  return values.length > 0 ? values : undefined;
}

function sortedWithout(fields: Json): Json {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
