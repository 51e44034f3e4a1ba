/** What a plan takes over unchanged from the topology. */
export type { IpFamily } from '../../topologies/ip.ts';
export type { KubernetesObject } from '../../topologies/objects.ts';
export type { CaptureOptions, Scenario, StaticPolicy } from '../../topologies/topology.ts';
