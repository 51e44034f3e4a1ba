import { sidecarBootstrap } from '../../../dataplane/envoy/bootstrap.ts';
import type { JsonObject } from '../../../dataplane/envoy/json.ts';
import type { MeshSize } from './mesh-of-size.ts';
import type { Plan, PodPlan } from '../../plan/plan.ts';
import { sidecarInputOf } from '../../plan/sidecar-input.ts';
import { injectedPods } from '../../plan/sidecars.ts';
import { renderStaticConfig } from '../../plan/static-config.ts';

/** What the proxies of a mesh are told, counted in configuration that was generated for them. */
export interface ConfigurationCount {
  readonly proxies: number;
  /**
   * Services that a proxy is told of, summed over the proxies: what the field notes call
   * configurations. The cluster's DNS is left out, as there.
   */
  readonly sets: number;
  /** Of these, services of the proxy's own namespace. */
  readonly setsOfOwnNamespace: number;
  /** Things that a proxy keeps, summed: listeners, clusters, endpoints; workloads, services. */
  readonly objects: number;
  /** Summed, without keys and certificates. */
  readonly bytes: number;
  /** Of the largest. */
  readonly bytesOfOne: number;
}

/** Keys and certificates come by SDS in Istio, once and not for each cluster: they are left out. */
const NO_CREDENTIALS = { key: '', certificateChain: '', roots: '' };

/** What the Envoy of one pod is told, as it is started in a lab, without what only the lab records. */
export function sidecarConfiguration(plan: Plan, pod: PodPlan): JsonObject {
  const input = sidecarInputOf(plan, pod);
  return sidecarBootstrap({ ...input, credentials: NO_CREDENTIALS, files: {} });
}

/** Every sidecar of a mesh: each is told of every service, wherever its pods are. */
export function countSidecars(plan: Plan): ConfigurationCount {
  return sum(injectedPods(plan).map((pod) => countSidecar(plan, pod)));
}

type OfOneProxy = Omit<ConfigurationCount, 'proxies' | 'bytesOfOne'>;

interface EnvoyResources {
  readonly static_resources: {
    readonly listeners: readonly unknown[];
    readonly clusters: readonly {
      readonly name: string;
      readonly load_assignment?: {
        readonly endpoints: readonly { readonly lb_endpoints: readonly unknown[] }[];
      };
    }[];
  };
}

function countSidecar(plan: Plan, pod: PodPlan): OfOneProxy {
  const configuration = sidecarConfiguration(plan, pod);
  const { listeners, clusters } = (configuration as unknown as EnvoyResources).static_resources;
  const endpoints = clusters.reduce(
    (total, { load_assignment: own }) => total + (own?.endpoints[0]?.lb_endpoints.length ?? 0),
    0,
  );
  const services = new Set(clusters.flatMap(({ name }) => hostOf(name) ?? []));
  const namespaces = [...services].map((host) => host.split('.')[1]);
  const counted = namespaces.filter((namespace) => namespace !== SYSTEM_NAMESPACE);
  const own = counted.filter((namespace) => namespace === pod.namespace);
  return {
    sets: counted.length,
    setsOfOwnNamespace: own.length,
    objects: listeners.length + clusters.length + endpoints,
    bytes: Buffer.byteLength(JSON.stringify(configuration)),
  };
}

/** The service of an outbound cluster, by Istio's names: `outbound|80||app.team.svc.cluster.local`. */
function hostOf(cluster: string): string | undefined {
  const [direction, , , host] = cluster.split('|');
  return direction === 'outbound' ? host : undefined;
}

/** Namespace of the cluster's own services, which nobody counts. */
export const SYSTEM_NAMESPACE = 'kube-system';

/** What a ztunnel is told, as it is started in a lab; the same on every node. */
export function ztunnelConfiguration(plan: Plan): string {
  const enrolled = plan.pods.filter((pod) => pod.enrolled);
  return renderStaticConfig(
    plan,
    enrolled.map(({ uid }) => uid),
  );
}

/** Every ztunnel of a mesh: one a node, each told of every workload and service. */
export function countZtunnels(plan: Plan): Omit<ConfigurationCount, 'setsOfOwnNamespace'> {
  const text = ztunnelConfiguration(plan);
  const workloads = text.match(/^ *- uid: /gm)?.length ?? 0;
  const hosts = [...text.matchAll(/^ *hostname: (\S+)$/gm)].map(([, host = '']) => host);
  const sets = hosts.filter((host) => host.split('.')[1] !== SYSTEM_NAMESPACE).length;
  const bytes = Buffer.byteLength(text);
  const objects = workloads + hosts.length;
  return sum(plan.nodes.map(() => ({ sets, setsOfOwnNamespace: 0, objects, bytes })));
}

/**
 * What waypoints of namespaces would be told: services of their own namespace. Their number alone is
 * known; this version generates no waypoint's configuration.
 */
export function countWaypoints(
  plan: Plan,
  { namespaces, waypoints }: MeshSize,
): Pick<ConfigurationCount, 'proxies' | 'sets'> {
  const services = plan.services.filter(({ namespace }) => namespace !== SYSTEM_NAMESPACE);
  return { proxies: namespaces * waypoints, sets: services.length * waypoints };
}

function sum(proxies: readonly OfOneProxy[]): ConfigurationCount {
  const total = (pick: (one: OfOneProxy) => number): number =>
    proxies.reduce((before, one) => before + pick(one), 0);
  return {
    proxies: proxies.length,
    sets: total(({ sets }) => sets),
    setsOfOwnNamespace: total(({ setsOfOwnNamespace }) => setsOfOwnNamespace),
    objects: total(({ objects }) => objects),
    bytes: total(({ bytes }) => bytes),
    bytesOfOne: Math.max(0, ...proxies.map(({ bytes }) => bytes)),
  };
}
