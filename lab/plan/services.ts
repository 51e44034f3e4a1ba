import { canonicalIp, familyOf, formatIp, parseIpRange } from '../../topologies/ip.ts';
import type { IpFamily } from '../../topologies/ip.ts';
import type { KubernetesObject, Service, ServicePort } from '../../topologies/objects.ts';
import { DNS_SERVICE_IPS, NODE_PORT_RANGE, RANGES } from '../../topologies/ranges.ts';
import {
  familiesOfService,
  isHeadless,
  requestedClusterIps,
} from '../../topologies/service-families.ts';
import { CLUSTER_DOMAIN } from '../../topologies/service-names.ts';
import { PlanError } from './errors.ts';
import { addressOf } from './families.ts';
import type { EndpointOfService, PodPlan, ServicePlan, ServicePortPlan } from './plan.ts';

function dnsService(ipFamilies: readonly IpFamily[]): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'kube-dns', namespace: 'kube-system' },
    spec: {
      clusterIPs: ipFamilies.map((family) => DNS_SERVICE_IPS[family]),
      ipFamilyPolicy: 'PreferDualStack',
      selector: { 'k8s-app': 'kube-dns' },
      ports: [
        { name: 'dns', port: 53, targetPort: 53, protocol: 'UDP' },
        { name: 'dns-tcp', port: 53, targetPort: 53, protocol: 'TCP' },
      ],
    },
  };
}

/**
 * Services with their addresses, node ports and endpoints: the cluster's DNS first, then the
 * topology's in file order. Addresses not asked for count up from 10.96.1.1 and fd00:10:96::101, node
 * ports from 30000.
 * @throws {PlanError} LAB_PLAN_CONFLICT when a range is used up.
 */
export function planServices(
  objects: readonly KubernetesObject[],
  pods: readonly PodPlan[],
  { namedPorts, ipFamilies }: ServiceContext,
): ServicePlan[] {
  const written = objects.filter((object) => object.kind === 'Service');
  const services = [dnsService(ipFamilies), ...written];
  const nextAddress = {
    IPv4: addressesNotIn(services, 'IPv4'),
    IPv6: addressesNotIn(services, 'IPv6'),
  };
  const nextNodePort = nodePortsNotIn(services);
  return services.map((service) => {
    const { name, namespace = 'default' } = service.metadata;
    const { ports } = service.spec;
    const families = familiesIn(service, ipFamilies);
    const asked = requestedClusterIps(service);
    const [vip, secondVip] = isHeadless(service)
      ? []
      : families.map((family) => {
          const address = asked.find((one) => familyOf(one) === family);
          return address === undefined ? nextAddress[family]() : canonicalIp(address)!;
        });
    const isNodePort = service.spec.type === 'NodePort';
    const endpoints = endpointsOf(service, namespace, pods, families, namedPorts);
    return {
      name,
      namespace,
      hostname: `${name}.${namespace}.svc.${CLUSTER_DOMAIN}`,
      ...(vip === undefined ? {} : { vip }),
      ...(secondVip === undefined ? {} : { secondVip }),
      ...(ipFamilies.join() === 'IPv4' ? {} : { ipFamilies: families }),
      ports: ports.map((port): ServicePortPlan => {
        const nodePort = port.nodePort ?? (isNodePort ? nextNodePort() : undefined);
        return {
          name: port.name ?? '',
          protocol: port.protocol ?? 'TCP',
          port: port.port,
          targetPort: commonTarget(port, endpoints),
          ...(isNodePort && nodePort !== undefined ? { nodePort } : {}),
        };
      }),
      endpoints,
    };
  });
}

/** Port numbers by name, by uid of the pod. */
export type NamedPorts = ReadonlyMap<string, ReadonlyMap<string, number>>;

export interface ServiceContext {
  /** Container ports by name, by uid of the pod. */
  readonly namedPorts: NamedPorts;
  /** Families of the lab, the default one first. */
  readonly ipFamilies: readonly IpFamily[];
}

function familiesIn(service: Service, ipFamilies: readonly IpFamily[]): readonly IpFamily[] {
  const found = familiesOfService(service, ipFamilies);
  if (found.kind === 'families') return found.families;
  const { name } = service.metadata;
  throw new PlanError('LAB_PLAN_CONFLICT', name, `Cannot plan service "${name}": ${found.message}`);
}

function endpointsOf(
  service: Service,
  namespace: string,
  pods: readonly PodPlan[],
  families: readonly IpFamily[],
  namedPorts: NamedPorts,
): EndpointOfService[] {
  const selector = Object.entries(service.spec.selector ?? {});
  if (selector.length === 0) return [];
  return pods
    .filter((pod) => pod.namespace === namespace)
    .filter((pod) => selector.every(([key, value]) => pod.labels[key] === value))
    .map((pod) => {
      const ports = service.spec.ports.flatMap((port): [number, number][] => {
        const target = targetOn(port, namedPorts.get(pod.uid));
        return target === undefined ? [] : [[port.port, target]];
      });
      const [address, secondAddress] = families.map((family) => addressOf(pod, family));
      return {
        pod: pod.uid,
        address: address!,
        ...(secondAddress === undefined ? {} : { secondAddress }),
        ports: Object.fromEntries(ports),
      };
    })
    .filter(({ ports }) => Object.keys(ports).length > 0);
}

function targetOn(
  { port, targetPort = port }: ServicePort,
  named: ReadonlyMap<string, number> | undefined,
): number | undefined {
  if (typeof targetPort === 'number') return targetPort;
  return /^\d+$/.test(targetPort) ? Number(targetPort) : named?.get(targetPort);
}

/** The one target port of all endpoints; 0 where a named port differs between them. */
function commonTarget(port: ServicePort, endpoints: readonly EndpointOfService[]): number {
  const fixed = targetOn(port, undefined);
  if (fixed !== undefined) return fixed;
  const targets = new Set(endpoints.map(({ ports }) => ports[port.port]));
  const [only] = targets;
  return targets.size === 1 && only !== undefined ? only : 0;
}

function addressesNotIn(services: readonly Service[], family: IpFamily): () => string {
  const taken = new Set(services.flatMap(requestedClusterIps).map(canonicalIp));
  const range = RANGES[family].services;
  const { first, last } = parseIpRange(range)!;
  let next = first + 257n;
  return () => {
    while (taken.has(formatIp(family, next))) next++;
    if (next >= last) {
      const message = `Cannot plan a service: the range ${range} is used up`;
      throw new PlanError('LAB_PLAN_CONFLICT', range, message);
    }
    return formatIp(family, next++);
  };
}

function nodePortsNotIn(services: readonly Service[]): () => number {
  const taken = new Set(services.flatMap(({ spec }) => spec.ports.map((port) => port.nodePort)));
  let next: number = NODE_PORT_RANGE.first;
  return () => {
    while (taken.has(next)) next++;
    if (next > NODE_PORT_RANGE.last) {
      const message = 'Cannot plan a service: the range of node ports is used up';
      throw new PlanError('LAB_PLAN_CONFLICT', String(next), message);
    }
    return next++;
  };
}
