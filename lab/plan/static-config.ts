import { Document, Scalar, YAMLSeq } from 'yaml';
import { MESH_NAMESPACE } from './addressing.ts';
import { POLICIES_ANNOTATION } from '../../topologies/expand.ts';
import type { PeerAuthentication } from '../../topologies/peer-authentication.ts';
import { addressesOf, nodeAddresses, vipsOf } from './families.ts';
import { renderBlock } from './block-yaml.ts';
import { peerAuthenticationsOf } from './peer-authentication.ts';
import { policyNamesFor } from './peer-authentication-policies.ts';
import type { Plan, PodPlan, ServicePlan } from './plan.ts';

const CLUSTER = 'Kubernetes';

/**
 * ztunnel's static file (`LOCAL_XDS_PATH`, ztunnel `src/config.rs` `LocalConfig`) for a plan, the
 * same on every node. Pods in `enrolledPodUids` speak HBONE, every other workload TCP; ztunnel's
 * own pods and the cluster's DNS are workloads without the mesh, as istiod has them.
 */
export function renderStaticConfig(plan: Plan, enrolledPodUids: Iterable<string>): string {
  const enrolled = new Set(enrolledPodUids);
  const authentications = peerAuthenticationsOf(plan.objects);
  const workloads = [
    ...plan.nodes.map((node) => ztunnelWorkload(plan, node)),
    ...plan.pods.map((pod) => podWorkload(plan, pod, enrolled.has(pod.uid), authentications)),
  ];
  const services = plan.services.map(serviceEntry);
  return renderBlock({ workloads, services }) + renderByLibrary(plan.policies.map(tagged));
}

function renderByLibrary(policies: readonly unknown[]): string {
  // Aliases would be valid YAML, and hard to read in a file people open to see what a pod is.
  return new Document({ policies }, { aliasDuplicateObjects: false }).toString({ lineWidth: 0 });
}

/** Identity of a workload in the mesh, `<cluster>//Pod/<namespace>/<name>`. */
export function workloadUid(pod: { readonly namespace: string; readonly name: string }): string {
  return `${CLUSTER}//Pod/${pod.namespace}/${pod.name}`;
}

/** Whether ztunnels tunnel to a pod: its ztunnel takes HBONE for it, or its sidecar does. */
export function speaksHbone({ sidecar }: PodPlan, isEnrolled: boolean): boolean {
  return isEnrolled || sidecar?.announcesHbone === true;
}

function podWorkload(
  plan: Plan,
  pod: PodPlan,
  isEnrolled: boolean,
  authentications: readonly PeerAuthentication[],
): Record<string, unknown> {
  const policies = [
    ...(pod.annotations[POLICIES_ANNOTATION] ?? '').split(',').filter(Boolean),
    ...policyNamesFor(pod, authentications),
  ];
  return {
    uid: workloadUid(pod),
    name: pod.name,
    namespace: pod.namespace,
    serviceAccount: pod.serviceAccount,
    trustDomain: plan.trustDomain,
    workloadIps: addressesOf(pod),
    protocol: speaksHbone(pod, isEnrolled) ? 'HBONE' : 'TCP',
    ...(pod.sidecar?.announcesHbone === true ? { nativeTunnel: true } : {}),
    networkMode: 'Standard',
    network: '',
    node: pod.node,
    clusterId: CLUSTER,
    workloadName: pod.workloadName,
    workloadType: pod.workloadType,
    canonicalName: canonicalName(pod),
    canonicalRevision: canonicalRevision(pod),
    status: 'Healthy',
    ...(policies.length > 0 ? { authorizationPolicies: policies } : {}),
    services: servicesOf(pod, plan.services),
  };
}

function ztunnelWorkload(plan: Plan, node: Plan['nodes'][number]): Record<string, unknown> {
  const name = node.ztunnelNetns.slice(0, -(MESH_NAMESPACE.length + 1));
  return {
    uid: workloadUid({ namespace: MESH_NAMESPACE, name }),
    name,
    namespace: MESH_NAMESPACE,
    serviceAccount: 'ztunnel',
    trustDomain: plan.trustDomain,
    workloadIps: nodeAddresses(node).map(({ ztunnelAddress }) => ztunnelAddress),
    protocol: 'TCP',
    networkMode: 'Standard',
    network: '',
    node: node.name,
    clusterId: CLUSTER,
    workloadName: 'ztunnel',
    workloadType: 'daemonset',
    canonicalName: 'ztunnel',
    canonicalRevision: 'latest',
    status: 'Healthy',
    services: {},
  };
}

/** Istio's order (`pkg/model`, canonical service labels). */
function canonicalName({ labels, workloadName }: PodPlan): string {
  const keys = ['service.istio.io/canonical-name', 'app.kubernetes.io/name', 'app'];
  return keys.map((key) => labels[key]).find((value) => value !== undefined) ?? workloadName;
}

function canonicalRevision({ labels }: PodPlan): string {
  const keys = ['service.istio.io/canonical-revision', 'app.kubernetes.io/version', 'version'];
  return keys.map((key) => labels[key]).find((value) => value !== undefined) ?? 'latest';
}

function servicesOf(
  pod: PodPlan,
  services: readonly ServicePlan[],
): Record<string, ReadonlyMap<number, number>> {
  const member = services.flatMap(({ namespace, hostname, endpoints }) =>
    endpoints
      .filter((endpoint) => endpoint.pod === pod.uid)
      .map(({ ports }) => [`${namespace}/${hostname}`, numberKeys(ports)] as const),
  );
  return Object.fromEntries(member);
}

/** Ports stay numbers in YAML too: serde_yaml reads no quoted text as one. */
function numberKeys(ports: Readonly<Record<number, number>>): ReadonlyMap<number, number> {
  return new Map(Object.entries(ports).map(([port, target]) => [Number(port), target]));
}

function serviceEntry(service: ServicePlan): Record<string, unknown> {
  const ports = service.ports.map(({ port, targetPort }) => [port, targetPort] as const);
  return {
    name: service.name,
    namespace: service.namespace,
    hostname: service.hostname,
    vips: vipsOf(service).map((vip) => `/${vip}`),
    ports: new Map(ports),
    ipFamilies: familiesText(service),
  };
}

function familiesText({ ipFamilies = ['IPv4'] }: ServicePlan): 'IPv4' | 'IPv6' | 'Dual' {
  const [only = 'IPv4', ...others] = ipFamilies;
  return others.length > 0 ? 'Dual' : only;
}

/** Data-carrying enums go out as YAML tags, the only form serde_yaml reads. */
function tagged(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(tagged);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  if ('tag' in value && entries.length <= 2) return taggedNode(value);
  return Object.fromEntries(entries.map(([key, inner]) => [key, tagged(inner)]));
}

function taggedNode({ tag, value }: { readonly tag: unknown; readonly value?: unknown }): unknown {
  if (tag === 'Presence') {
    const presence = new YAMLSeq();
    presence.flow = true;
    presence.tag = '!Presence';
    return presence;
  }
  const scalar = new Scalar(value);
  scalar.tag = `!${String(tag)}`;
  return scalar;
}
