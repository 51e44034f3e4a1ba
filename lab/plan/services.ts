import { formatIpv4, parseCidr } from '../../topologies/ipv4.ts';
import type { KubernetesObject, Service, ServicePort } from '../../topologies/objects.ts';
import { DNS_SERVICE_IP, NODE_PORT_RANGE, SERVICE_RANGE } from '../../topologies/ranges.ts';
import { CLUSTER_DOMAIN } from '../../topologies/service-names.ts';
import { PlanError } from './errors.ts';
import type { EndpointOfService, PodPlan, ServicePlan, ServicePortPlan } from './plan.ts';

const DNS_SERVICE: Service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'kube-dns', namespace: 'kube-system' },
  spec: {
    clusterIP: DNS_SERVICE_IP,
    selector: { 'k8s-app': 'kube-dns' },
    ports: [
      { name: 'dns', port: 53, targetPort: 53, protocol: 'UDP' },
      { name: 'dns-tcp', port: 53, targetPort: 53, protocol: 'TCP' },
    ],
  },
};

/**
 * Services with their addresses, node ports and endpoints: the cluster's DNS first, then the
 * topology's in file order. Addresses not asked for count up from 10.96.1.1, node ports from 30000.
 * @param namedPorts container ports by name, by uid of the pod.
 * @throws {PlanError} LAB_PLAN_CONFLICT when a range is used up.
 */
export function planServices(
  objects: readonly KubernetesObject[],
  pods: readonly PodPlan[],
  namedPorts: NamedPorts,
): ServicePlan[] {
  const services = [DNS_SERVICE, ...objects.filter((object) => object.kind === 'Service')];
  const nextAddress = addressesNotIn(services);
  const nextNodePort = nodePortsNotIn(services);
  return services.map((service) => {
    const { name, namespace = 'default' } = service.metadata;
    const { clusterIP, ports } = service.spec;
    const vip = clusterIP === 'None' ? undefined : clusterIP || nextAddress();
    const isNodePort = service.spec.type === 'NodePort';
    const endpoints = endpointsOf(service, namespace, pods, namedPorts);
    return {
      name,
      namespace,
      hostname: `${name}.${namespace}.svc.${CLUSTER_DOMAIN}`,
      ...(vip === undefined ? {} : { vip }),
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

function endpointsOf(
  service: Service,
  namespace: string,
  pods: readonly PodPlan[],
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
      return { pod: pod.uid, address: pod.address, ports: Object.fromEntries(ports) };
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

function addressesNotIn(services: readonly Service[]): () => string {
  const taken = new Set(services.map(({ spec }) => spec.clusterIP));
  const { first, last } = parseCidr(SERVICE_RANGE)!;
  let next = first + 257;
  return () => {
    while (taken.has(formatIpv4(next))) next++;
    if (next >= last) {
      const message = `Cannot plan a service: the range ${SERVICE_RANGE} is used up`;
      throw new PlanError('LAB_PLAN_CONFLICT', SERVICE_RANGE, message);
    }
    return formatIpv4(next++);
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
