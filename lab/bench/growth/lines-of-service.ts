import type { Plan } from '../../plan/plan.ts';
import { injectedPods } from '../../plan/sidecars.ts';
import {
  sidecarConfiguration,
  SYSTEM_NAMESPACE,
  ztunnelConfiguration,
} from './count-configuration.ts';
import { type MeshMode, meshOfSize } from './mesh-of-size.ts';

/** Lines that one service with one pod adds to what a proxy is told, as people print it. */
export interface LinesOfService {
  /** To another pod's sidecar, whose mesh has a service on that port already; indented JSON. */
  readonly further: number;
  /** The same where it is the first service of the mesh on its port. */
  readonly first: number;
  /** To the sidecar of its own pod, which takes its requests: in all, beside one without a service. */
  readonly own: number;
  /** To a ztunnel: the pod and the service; YAML. */
  readonly ztunnel: number;
}

/** Generates the configuration of meshes with and without a service, and counts what it adds. */
export function linesOfService(): LinesOfService {
  const two = mesh(2, 'sidecar');
  const linesIn = (pod: string, ...services: readonly string[]): number =>
    sidecarLines(withServices(two, services), pod);
  return {
    further: linesIn('app1', 'app1', 'app2') - linesIn('app1', 'app1'),
    first: linesIn('app2', 'app1') - linesIn('app2'),
    own: linesIn('app1', 'app1') - linesIn('app1'),
    ztunnel: ztunnelLines(2) - ztunnelLines(1),
  };
}

function mesh(deployments: number, mode: MeshMode): Plan {
  return meshOfSize({ namespaces: 1, deployments, pods: 1, waypoints: 1 }, mode);
}

/** The same mesh with some of its services, beside the cluster's own. */
function withServices(plan: Plan, names: readonly string[]): Plan {
  const isKept = ({ namespace, name }: Plan['services'][number]): boolean =>
    namespace === SYSTEM_NAMESPACE || names.includes(name);
  return { ...plan, services: plan.services.filter(isKept) };
}

function sidecarLines(plan: Plan, workload: string): number {
  const pod = injectedPods(plan).find(({ workloadName }) => workloadName === workload);
  if (pod === undefined) throw new TypeError(`No sidecar of workload "${workload}"`);
  return JSON.stringify(sidecarConfiguration(plan, pod), null, 2).split('\n').length;
}

function ztunnelLines(deployments: number): number {
  return ztunnelConfiguration(mesh(deployments, 'ambient')).split('\n').length;
}
