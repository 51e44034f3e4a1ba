import { cidrContains } from '../address.ts';
import { type Policy, policyKey } from './policy.ts';
import { isVisibleTo, type Service, type ServiceEndpoint, serviceKey } from './service.ts';
import type { StaticState } from './static-file.ts';
import type { Workload } from './workload.ts';

type WorkloadName = Readonly<Pick<Workload, 'name' | 'namespace' | 'serviceAccount'>>;

/**
 * What the mesh looks like at one moment: workloads, services and policies with the indexes of
 * ztunnel's `src/state.rs`. Never changes; a new state is built whole and takes its place.
 */
export class MeshState {
  readonly workloads: ReadonlyMap<string, Workload>;
  readonly services: ReadonlyMap<string, Service>;
  readonly policies: ReadonlyMap<string, Policy>;
  /** Endpoints of services that are not known: `namespace/hostname` → uid → endpoint. */
  readonly stagedServices: ReadonlyMap<string, ReadonlyMap<string, ServiceEndpoint>>;
  readonly #workloadsByName = new Map<string, Workload[]>();
  readonly #workloadByIp = new Map<string, Workload>();
  readonly #workloadsByHostname = new Map<string, Workload[]>();
  readonly #servicesByVip = new Map<string, Service[]>();
  readonly #servicesByHostname = new Map<string, Service[]>();
  readonly #cidrServices: Service[] = [];
  readonly #globalPolicies: Policy[] = [];
  readonly #policiesByNamespace = new Map<string, Policy[]>();

  constructor(loaded: StaticState) {
    this.workloads = new Map(loaded.workloads.map((workload) => [workload.uid, workload]));
    const members = membersByService(this.workloads.values());
    const services = new Map<string, Service>();
    for (const service of loaded.services) {
      const key = serviceKey(service);
      services.set(key, withEndpoints(service, members.get(key)));
      members.delete(key);
    }
    this.services = services;
    this.stagedServices = members;
    this.policies = new Map(loaded.policies.map((policy) => [policyKey(policy), policy]));
    for (const workload of this.workloads.values()) this.#indexWorkload(workload);
    for (const service of services.values()) this.#indexService(service);
    for (const policy of this.policies.values()) this.#indexPolicy(policy);
  }

  /** The workload with that address. Host-network workloads are not found by address. */
  workloadByIp(network: string, ip: string): Workload | undefined {
    return this.#workloadByIp.get(`${network}/${ip}`);
  }

  workloadsByHostname(hostname: string): readonly Workload[] {
    return this.#workloadsByHostname.get(hostname) ?? [];
  }

  /** The service of a virtual address as that client sees it: exact ones first, then ranges. */
  serviceByVip(network: string, ip: string, clientNamespace: string): Service | undefined {
    const exact = pickService(this.#servicesByVip.get(`${network}/${ip}`) ?? [], clientNamespace);
    return exact ?? this.#serviceByRange(network, ip, clientNamespace);
  }

  /** All services of a host name, in the order of the file. */
  servicesByHostname(hostname: string): readonly Service[] {
    return this.#servicesByHostname.get(hostname) ?? [];
  }

  /** The service of a host name as that client sees it. */
  serviceByHostname(hostname: string, clientNamespace: string): Service | undefined {
    return pickService(this.servicesByHostname(hostname), clientNamespace);
  }

  /** The service itself, whoever asks. */
  service(namespace: string, hostname: string): Service | undefined {
    return this.services.get(`${namespace}/${hostname}`);
  }

  /** Policies that hold for a destination: its namespace's, the global ones, those it names. */
  policiesFor(destination: Workload): readonly Policy[] {
    const named: Policy[] = [];
    for (const key of destination.authorizationPolicies) {
      const policy = this.policies.get(key);
      if (policy) named.push(policy);
    }
    const ofNamespace = this.#policiesByNamespace.get(destination.namespace) ?? [];
    return [...ofNamespace, ...this.#globalPolicies, ...named];
  }

  /** The workload a proxy runs for: by name, namespace and service account, on that node if given. */
  localWorkload(id: WorkloadName, node: string | undefined): Workload | undefined {
    const same = this.#workloadsByName.get(nameKey(id));
    return same?.find((workload) => node === undefined || workload.node === node);
  }

  #serviceByRange(network: string, ip: string, clientNamespace: string): Service | undefined {
    let best: { service: Service; rank: readonly number[] } | undefined;
    for (const service of this.#cidrServices) {
      if (!isVisibleTo(service, clientNamespace)) continue;
      for (const { network: of, cidr } of service.cidrVips) {
        if (of !== network || !cidrContains(cidr, ip)) continue;
        const inNamespace = Number(service.namespace === clientNamespace);
        const rank = [inNamespace, cidr.prefixLength, Number(service.canonical)];
        if (!best || compareRanks(rank, best.rank) > 0) best = { service, rank };
      }
    }
    return best?.service;
  }

  #indexWorkload(workload: Workload): void {
    push(this.#workloadsByName, nameKey(workload), workload);
    if (workload.hostname) push(this.#workloadsByHostname, workload.hostname, workload);
    if (workload.networkMode === 'HostNetwork') return;
    for (const ip of workload.workloadIps) {
      const key = `${workload.network}/${ip}`;
      const other = this.#workloadByIp.get(key);
      if (!other || ipRank(workload) > ipRank(other)) this.#workloadByIp.set(key, workload);
    }
  }

  #indexService(service: Service): void {
    push(this.#servicesByHostname, service.hostname, service);
    for (const vip of service.vips) push(this.#servicesByVip, `${vip.network}/${vip.ip}`, service);
    if (service.cidrVips.length > 0) this.#cidrServices.push(service);
  }

  #indexPolicy(policy: Policy): void {
    if (policy.scope === 'Global') this.#globalPolicies.push(policy);
    if (policy.scope === 'Namespace') push(this.#policiesByNamespace, policy.namespace, policy);
  }
}

/** Of services with one address or name: the client's namespace, then the last canonical, then the first. */
export function pickService(
  services: readonly Service[],
  clientNamespace: string,
): Service | undefined {
  const visible = services.filter((service) => isVisibleTo(service, clientNamespace));
  return (
    visible.find((service) => service.namespace === clientNamespace) ??
    visible.findLast((service) => service.canonical) ??
    visible[0]
  );
}

function nameKey({ namespace, name, serviceAccount }: WorkloadName): string {
  return `${namespace}/${name}/${serviceAccount}`;
}

/** Several workloads may share an address: pods win, then those that speak HBONE. */
function ipRank(workload: Workload): number {
  return Number(workload.uid.includes('//Pod/')) * 2 + Number(workload.protocol === 'HBONE');
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function push<V>(map: Map<string, V[]>, key: string, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

function membersByService(
  workloads: Iterable<Workload>,
): Map<string, ReadonlyMap<string, ServiceEndpoint>> {
  const members = new Map<string, Map<string, ServiceEndpoint>>();
  for (const workload of workloads) {
    for (const [key, port] of workload.services) {
      const endpoint = { workloadUid: workload.uid, port, status: workload.status };
      const ofService = members.get(key) ?? new Map<string, ServiceEndpoint>();
      members.set(key, ofService.set(workload.uid, endpoint));
    }
  }
  return members;
}

function withEndpoints(
  service: Service,
  members: ReadonlyMap<string, ServiceEndpoint> = new Map(),
): Service {
  const takesAll = service.loadBalancer?.healthPolicy === 'AllowAll';
  const all = [...service.endpoints, ...members];
  const endpoints = new Map(all.filter(([, e]) => takesAll || e.status === 'Healthy'));
  return { ...service, endpoints };
}
