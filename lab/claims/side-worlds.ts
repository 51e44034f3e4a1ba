import type { CniName, NetworkPolicyFlavour } from '../../topologies/cni.ts';
import type { ReleaseName } from '../../topologies/era.ts';
import type { IpFamily } from '../../topologies/ip.ts';
import { parseTopology } from '../../topologies/load.ts';
import type { Plan } from '../plan/plan.ts';
import { planLab } from '../plan/plan-lab.ts';

/** What a claim wants otherwise than the world that all claims share; the era is always the same. */
export interface SideWorldOptions {
  /** Text of another topology than the small one. */
  readonly topology?: string;
  readonly release?: ReleaseName;
  readonly cni?: CniName;
  readonly networkPolicy?: NetworkPolicyFlavour;
  readonly ipFamilies?: readonly IpFamily[];
  readonly dnsCapture?: boolean;
  /** A second place for the ztunnel of each node, so that one can take over from the other. */
  readonly spareZtunnels?: boolean;
}

/** The smallest world with everybody: in the mesh on both nodes, out of it, and a service. */
const SMALL = `
name: claims-small
nodes: [node1, node2]
namespaces: { demo: { mode: ambient }, plain: { mode: none } }
workloads:
  client: { namespace: demo, node: node1, app: http }
  near: { namespace: demo, node: node1, app: http }
  far:
    namespace: demo
    node: node2
    apps: [{ app: http, port: 8080 }, { app: tcp-echo, port: 9000 }]
  stranger: { namespace: plain, node: node1, app: http }
services:
  far: { namespace: demo, selector: far, ports: { 80: 8080 }, nodePort: 30080 }
`;

/**
 * Plans a small world of its own: pods `client`, `near` (node1) and `far` (node2) in the mesh,
 * `stranger` (node1) out of it, service `far.demo`. @throws {PlanError} for what does not go together
 */
export function planSideWorld(main: Plan, name: string, options: SideWorldOptions): Plan {
  const { topology: text = SMALL, release, networkPolicy, ipFamilies, ...others } = options;
  const topology = {
    ...parseTopology(text, 'claims-small'),
    ...(release && { release }),
    ...(networkPolicy && { networkPolicy }),
    ...(ipFamilies && { ipFamilies }),
  };
  return planLab(topology, { era: main.era, lab: `${main.lab}-${name}`, ...others });
}
