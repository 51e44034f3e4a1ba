import {
  isSelected,
  type NetworkPolicy,
  type PolicyPeer,
  type PolicyPort,
} from '../../topologies/network-policy.ts';
import type { PolicyCluster, PolicyPod } from './cluster.ts';

/** Where the other end of a connection may be. */
export type Reach =
  | { readonly kind: 'pod'; readonly pod: PolicyPod }
  | { readonly kind: 'block'; readonly cidr: string; readonly except: readonly string[] };

/** A protocol and its ports; all ports of both when absent. */
export interface PortRange {
  readonly protocol: 'tcp' | 'udp';
  readonly ports?: readonly [number, number];
}

/** The ends that the peers of one rule stand for, each once; `undefined` for anybody. */
export function reachOf(
  peers: readonly PolicyPeer[] | null | undefined,
  policy: NetworkPolicy,
  cluster: PolicyCluster,
): readonly Reach[] | undefined {
  if (!peers || peers.length === 0) return undefined;
  const pods = cluster.pods.filter((pod) =>
    peers.some((peer) => isMeant(peer, pod, policy, cluster)),
  );
  const blocks = peers.flatMap(({ ipBlock }): Reach[] =>
    ipBlock ? [{ kind: 'block', cidr: ipBlock.cidr, except: ipBlock.except ?? [] }] : [],
  );
  return [...pods.map((pod): Reach => ({ kind: 'pod', pod })), ...blocks];
}

function isMeant(
  { podSelector, namespaceSelector, ipBlock }: PolicyPeer,
  pod: PolicyPod,
  { metadata }: NetworkPolicy,
  { namespaces }: PolicyCluster,
): boolean {
  if (ipBlock) return false;
  const isThere = namespaceSelector
    ? isSelected(namespaceSelector, namespaces.get(pod.namespace) ?? {})
    : pod.namespace === (metadata.namespace ?? 'default');
  return isThere && (!podSelector || isSelected(podSelector, pod.labels));
}

/** A port of a policy at a pod that has it; `undefined` where no container calls a port so. */
export function rangeAt(
  { protocol = 'TCP', port, endPort }: PolicyPort,
  namedPorts: ReadonlyMap<string, number>,
): PortRange | undefined {
  const name = protocol === 'UDP' ? 'udp' : 'tcp';
  if (port === undefined) return { protocol: name };
  const first = typeof port === 'number' ? port : namedPorts.get(port);
  return first === undefined ? undefined : { protocol: name, ports: [first, endPort ?? first] };
}

/** Whether the ports of a rule are called by name, so that they differ from pod to pod. */
export function hasNamedPort(ports: readonly PolicyPort[] | null | undefined): boolean {
  return (ports ?? []).some(({ port }) => typeof port === 'string');
}
