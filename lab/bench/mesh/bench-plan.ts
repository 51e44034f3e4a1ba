import { DEFAULT_ERA_NAME } from '../../../topologies/era.ts';
import { parseTopology } from '../../../topologies/load.ts';
import type { Topology } from '../../../topologies/topology.ts';
import type { Plan } from '../../plan/plan.ts';
import { planLab } from '../../plan/plan-lab.ts';
import { isEra, type ModeName } from './modes.ts';

/** Where the server is, as the client's node sees it. */
export type Placement = 'other-node' | 'same-node';
export const PLACEMENTS: readonly Placement[] = ['other-node', 'same-node'];

export const NAMESPACE = 'bench';
export const CLIENT_POD = 'client';
/** A pod and a service of the same name for each placement. */
export const SERVER_POD: Readonly<Record<Placement, string>> = {
  'other-node': 'server',
  'same-node': 'near',
};

/** Where the app listens, and what the services call it. */
export const PORTS = {
  http: { service: 8000, pod: 8080 },
  sink: { service: 9000, pod: 8090 },
} as const;

/** A client on one node, a server there and one on the other: the world of a mode. */
export function benchPlan(mode: ModeName, lab: string): Plan {
  const namespaceMode = isEra(mode) ? 'ambient' : mode === 'sidecar' ? 'sidecar' : 'none';
  const ports = {
    [PORTS.http.service]: PORTS.http.pod,
    [PORTS.sink.service]: PORTS.sink.pod,
  };
  const serverOn = (node: string): object => ({ namespace: NAMESPACE, node });
  const serviceOf = (selector: string): object => ({ namespace: NAMESPACE, selector, ports });
  const topology = {
    name: 'bench',
    era: isEra(mode) ? mode : DEFAULT_ERA_NAME,
    nodes: ['node1', 'node2'],
    namespaces: { [NAMESPACE]: { mode: namespaceMode } },
    workloads: {
      [CLIENT_POD]: { namespace: NAMESPACE, node: 'node1' },
      [SERVER_POD['other-node']]: serverOn('node2'),
      [SERVER_POD['same-node']]: serverOn('node1'),
    },
    services: {
      [SERVER_POD['other-node']]: serviceOf(SERVER_POD['other-node']),
      [SERVER_POD['same-node']]: serviceOf(SERVER_POD['same-node']),
    },
  };
  const parsed = parseTopology(JSON.stringify(topology), 'bench.yaml');
  return planLab(withNamedPorts(parsed), { lab });
}

/** Ports named by their protocol, as Istio's users do: a sidecar then need not look at first bytes. */
function withNamedPorts(topology: Topology): Topology {
  const nameOf = (port: number): string => (port === PORTS.http.service ? 'http' : 'tcp-sink');
  const objects = topology.objects.map((object) => {
    if (object.kind !== 'Service') return object;
    const ports = object.spec.ports.map((each) => ({ ...each, name: nameOf(each.port) }));
    return { ...object, spec: { ...object.spec, ports } };
  });
  return { ...topology, objects };
}
