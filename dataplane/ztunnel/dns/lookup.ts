import { isIpv6 } from '../address.ts';
import type { MeshState } from '../state/mesh-state.ts';
import { isVisibleTo, type Service } from '../state/service.ts';
import type { Workload } from '../state/workload.ts';
import { type Alias, aliasesOf, type NameContext, wildcardsOf } from './names.ts';

export interface DnsLookup {
  readonly state: MeshState;
  /** The pod that asks. */
  readonly client: Workload;
  readonly names: NameContext;
  readonly ipv6Enabled: boolean;
  readonly preferredNamespace?: string;
}

/** Addresses for a name that the mesh knows, in the order of the state; possibly none. */
export interface DnsMatch {
  /** Name the addresses belong to when a CNAME leads there from the queried one. */
  readonly cname?: string;
  readonly service: Service;
  readonly addresses: readonly string[];
}

/**
 * What the mesh answers to a query for A or AAAA records, or undefined when it does not know the
 * name (lower case, no last dot) and somebody else has to be asked.
 */
export function lookupDns(lookup: DnsLookup, name: string, family: 4 | 6): DnsMatch | undefined {
  for (const alias of aliasesOf(name, lookup.names)) {
    const exact = findService(lookup, alias.name);
    if (exact) return matchOf(lookup, alias, exact, family, false);
    for (const wildcard of wildcardsOf(alias.name)) {
      const service = findService(lookup, wildcard);
      if (service) return matchOf(lookup, alias, service, family, true);
    }
  }
  return undefined;
}

function matchOf(
  lookup: DnsLookup,
  alias: Alias,
  service: Service,
  family: 4 | 6,
  isWildcard: boolean,
): DnsMatch {
  const addresses = addressesOf(lookup, service, family);
  return { cname: isWildcard ? undefined : alias.stripped, service, addresses };
}

function findService(lookup: DnsLookup, hostname: string): Service | undefined {
  const { state, client, names, preferredNamespace } = lookup;
  const found = state.servicesByHostname(hostname).filter((service) => {
    const isKubernetes = service.hostname.endsWith(`.svc.${names.clusterDomain}`);
    return (service.vips.length > 0 || isKubernetes) && isVisibleTo(service, client.namespace);
  });
  return (
    found.find(({ namespace }) => namespace === client.namespace) ??
    found.find(({ canonical }) => canonical) ??
    found.find(({ namespace }) => namespace === preferredNamespace) ??
    found[0]
  );
}

function addressesOf(lookup: DnsLookup, service: Service, family: 4 | 6): string[] {
  const wanted = family === 6;
  const forbidden = wanted ? 'IPv4' : 'IPv6';
  if (service.ipFamilies === forbidden || (wanted && !lookup.ipv6Enabled)) return [];
  const ofFamily = (ip: string): boolean => isIpv6(ip) === wanted;
  const { network } = lookup.client;
  if (service.vips.length > 0) {
    return service.vips
      .filter((vip) => vip.network === network)
      .map(({ ip }) => ip)
      .filter(ofFamily);
  }
  return [...service.endpoints.keys()].flatMap((uid) => {
    const workload = lookup.state.workloads.get(uid);
    return workload?.network === network ? (workload.workloadIps.find(ofFamily) ?? []) : [];
  });
}
