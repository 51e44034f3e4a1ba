import type { KubernetesObject } from '../../../topologies/objects.ts';
import { parseTopology } from '../../../topologies/load.ts';
import type { Plan } from '../../plan/plan.ts';
import { planLab } from '../../plan/plan-lab.ts';

/** How many of what a mesh has. */
export interface MeshSize {
  readonly namespaces: number;
  /** Deployments of each namespace, each with a service of one HTTP port. */
  readonly deployments: number;
  /** Pods of each deployment. */
  readonly pods: number;
  /** Pods of the waypoint of each namespace, where there are waypoints. */
  readonly waypoints: number;
}

/** What takes the pods into the mesh. */
export type MeshMode = 'sidecar' | 'ambient';

/** Pods that a node takes unless told otherwise (kubelet's `maxPods`). */
export const PODS_OF_A_NODE = 110;

/** A mesh of a size as a plan, with as many nodes as it takes, two at least. */
export function meshOfSize(size: MeshSize, mode: MeshMode): Plan {
  const pods = size.namespaces * size.deployments * size.pods;
  const count = Math.max(2, Math.ceil(pods / PODS_OF_A_NODE));
  const numbers = numbersTo(size.namespaces);
  const world = {
    name: 'growth',
    nodes: numbersTo(count).map((number) => `node${number}`),
    namespaces: Object.fromEntries(numbers.map((number) => [`team${number}`, { mode }])),
  };
  const topology = parseTopology(JSON.stringify(world), 'growth');
  const made = numbers.flatMap((number) =>
    numbersTo(size.deployments).flatMap((each) =>
      deploymentOf(`team${number}`, `app${each}`, size.pods),
    ),
  );
  return planLab({ ...topology, objects: [...topology.objects, ...made] });
}

function numbersTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

function deploymentOf(namespace: string, name: string, replicas: number): KubernetesObject[] {
  const labels = { app: name };
  const metadata = { name, namespace };
  const ports = [{ name: 'http', containerPort: 8080 }];
  const spec = { serviceAccountName: name, containers: [{ name, image: 'http', ports }] };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: labels, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
    },
  ];
}
