import type {
  InboundPort,
  OutboundEndpoint,
  OutboundService,
  PortProtocol,
  SidecarInput,
} from '../../dataplane/envoy/sidecar-input.ts';
import { formatSpiffe } from '../../dataplane/identity/spiffe.ts';
import { addressesOf, hasIpv6, vipsOf } from './families.ts';
import type { EndpointOfService, Plan, PodPlan, ServicePlan } from './plan.ts';

/** What Istio's control plane would tell the sidecar of a pod; keys and files come from the world. */
export type PlannedSidecar = Omit<SidecarInput, 'credentials' | 'files'>;

/** @throws {TypeError} for a pod without a sidecar */
export function sidecarInputOf(plan: Plan, pod: PodPlan): PlannedSidecar {
  if (pod.sidecar === undefined) throw new TypeError(`Pod "${pod.name}" has no sidecar`);
  const { name, namespace, node, sidecar } = pod;
  const pods: PodsByUid = new Map(plan.pods.map((each) => [each.uid, each]));
  return {
    pod: { name, namespace, node, addresses: addressesOf(pod) },
    trustDomain: plan.trustDomain,
    mtls: sidecar.mtls,
    isTproxy: sidecar.redirect?.isTproxy === true,
    hbone: { listens: sidecar.listensHbone, sends: sidecar.sendsHbone },
    hasIpv6: hasIpv6(plan),
    inboundPorts: inboundPorts(plan, pod),
    services: plan.services.map((service) => outboundService(plan, pods, service)),
  };
}

/**
 * Istio's convention for names of service ports, `<protocol>[-<suffix>]`; what says nothing is told
 * by its first bytes (`pkg/config/kube/conversion.go`).
 */
export function protocolOf(portName: string): PortProtocol {
  const [word = ''] = portName.toLowerCase().split('-');
  if (['http', 'http2', 'grpc', 'grpcweb'].includes(word)) return 'http';
  return ['tcp', 'tls', 'https', 'mongo', 'mysql', 'redis'].includes(word) ? 'tcp' : 'auto';
}

/** Of two services that lead to one port, the first decides, as in Istio. */
function inboundPorts(plan: Plan, pod: PodPlan): readonly InboundPort[] {
  const ports = new Map<number, PortProtocol>();
  for (const service of plan.services) {
    const own = service.endpoints.find((endpoint) => endpoint.pod === pod.uid);
    for (const { name, protocol, port } of service.ports) {
      const target = own?.ports[port];
      if (target === undefined || protocol !== 'TCP' || ports.has(target)) continue;
      ports.set(target, protocolOf(name));
    }
  }
  return [...ports].map(([port, protocol]) => ({ port, protocol }));
}

/** Meshes of hundreds of pods name each of them in every sidecar. */
type PodsByUid = ReadonlyMap<string, PodPlan>;

function outboundService(plan: Plan, pods: PodsByUid, service: ServicePlan): OutboundService {
  const { name, namespace, hostname } = service;
  return {
    name,
    namespace,
    hostname,
    vips: vipsOf(service),
    ports: service.ports
      .filter(({ protocol }) => protocol === 'TCP')
      .map(({ name: portName, port }) => ({
        port,
        protocol: protocolOf(portName),
        endpoints: service.endpoints.map((endpoint) =>
          outboundEndpoint(plan, pods.get(endpoint.pod), endpoint, port),
        ),
      })),
  };
}

function outboundEndpoint(
  { trustDomain }: Plan,
  pod: PodPlan | undefined,
  endpoint: EndpointOfService,
  port: number,
): OutboundEndpoint {
  const { namespace = '', serviceAccount = '' } = pod ?? {};
  const target = endpoint.ports[port] ?? port;
  return {
    address: endpoint.address,
    port: target,
    identity: formatSpiffe({ trustDomain, namespace, serviceAccount }),
    security: pod === undefined ? 'none' : securityOf(pod, target),
  };
}

/**
 * What an endpoint is sent (`pilot/pkg/xds/endpoints/endpoint_builder.go`): a sidecar its mutual TLS
 * even if it takes HBONE, unless that is switched off for the port.
 */
function securityOf({ sidecar, enrolled }: PodPlan, port: number): OutboundEndpoint['security'] {
  if (sidecar === undefined) return enrolled ? 'hbone' : 'none';
  const { mode, ports } = sidecar.mtls;
  if ((ports[port] ?? mode) !== 'DISABLE') return 'istio';
  return sidecar.announcesHbone ? 'hbone' : 'none';
}
