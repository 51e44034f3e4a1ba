import { isSelected, policyTypesOf, type NetworkPolicy } from '../../topologies/network-policy.ts';
import { asHost } from '../plan/families.ts';
import { POD_BRIDGE } from '../plan/cni.ts';
import { allowancesOf, type Allowance, type Direction } from './allowance.ts';
import type { PolicyCluster, PolicyPod } from './cluster.ts';
import {
  FORWARD_CHAIN,
  INGRESS_CHAIN,
  OUTPUT_CHAIN,
  type NodePolicies,
  type PolicyMatch,
  type PolicyRule,
} from './rule.ts';

const HBONE_PORT = 15008;

/**
 * The rules that policies stand for at the host-side interfaces of one node's pods. A pod that no
 * policy selects for a direction is open there; for one that is selected, what any of its policies
 * admits is admitted (a union), all else is dropped. Only the first packet of a connection is
 * judged. Two pods of one node are judged twice: leaving the one, entering the other.
 */
export function generatePolicies(cluster: PolicyCluster, node: string): NodePolicies {
  const own = cluster.pods.filter((pod) => pod.node === node);
  const leaving = isolations(cluster, own, 'egress');
  const entering = isolations(cluster, own, 'ingress');
  if (leaving.length + entering.length === 0) return { node, rules: [] };
  const at = placeOf(cluster);
  const rules: PolicyRule[] = [
    {
      chain: FORWARD_CHAIN,
      match: { established: true },
      verdict: { kind: 'accept' },
      label: 'replies',
      why: 'A connection is judged once, when it begins: replies need no rule of their own.',
    },
    ...(cluster.hasIpv6 && cluster.cni === 'bridge' ? NEIGHBOURS : []),
    ...leaving.flatMap(({ pod, chain }) =>
      at.from(pod).map((match) => enter(FORWARD_CHAIN, match, chain, pod, 'egress')),
    ),
    {
      chain: FORWARD_CHAIN,
      match: {},
      verdict: { kind: 'jump', chain: INGRESS_CHAIN },
      label: 'ingress',
      why: 'Nothing keeps it from leaving where it comes from; now to where it goes.',
    },
    ...entering.flatMap(({ pod, chain }) =>
      at.to(pod).map((match) => enter(INGRESS_CHAIN, match, chain, pod, 'ingress')),
    ),
    {
      chain: INGRESS_CHAIN,
      match: {},
      verdict: { kind: 'accept' },
      label: 'not isolated',
      why: 'No policy selects the pod it goes to (or it leaves the node): it is open.',
    },
    ...[...leaving, ...entering].flatMap(podChain),
    ...shared([...leaving, ...entering]),
    ...entering.flatMap(({ pod }) => at.to(pod).map((match) => fromNode(pod, match))),
  ];
  return { node, rules };
}

/** Solicitations and advertisements of neighbours (RFC 4861 §4.3, §4.4). */
const NEIGHBOURS = [135, 136].map((icmpv6Type): PolicyRule => ({
  chain: FORWARD_CHAIN,
  match: { icmpv6Type },
  verdict: { kind: 'accept' },
  label: 'neighbour discovery',
  why:
    'Pods of one bridge find each other’s MAC so: it is no traffic that policies speak of, and ' +
    'ARP, which IPv4 has for it, never gets here.',
}));

interface Isolation {
  readonly pod: PolicyPod;
  readonly direction: Direction;
  readonly chain: string;
  readonly policies: readonly string[];
  readonly allowances: readonly Allowance[];
}

function isolations(
  cluster: PolicyCluster,
  pods: readonly PolicyPod[],
  direction: Direction,
): readonly Isolation[] {
  const type = direction === 'ingress' ? 'Ingress' : 'Egress';
  const isOf = (policy: NetworkPolicy, pod: PolicyPod): boolean =>
    (policy.metadata.namespace ?? 'default') === pod.namespace &&
    policyTypesOf(policy).includes(type) &&
    isSelected(policy.spec.podSelector, pod.labels);
  return pods.flatMap((pod) => {
    const policies = cluster.policies.filter((policy) => isOf(policy, pod));
    if (policies.length === 0) return [];
    return [
      {
        pod,
        direction,
        chain: `${direction === 'ingress' ? 'NP-TO-' : 'NP-FROM-'}${pod.hostLink}`,
        policies: policies.map(({ metadata }) => metadata.name),
        allowances: policies.flatMap((policy) => allowancesOf(policy, direction, pod, cluster)),
      },
    ];
  });
}

/**
 * How the node knows a pod: by the veth that is its own, which no source address can belie; behind
 * a bridge, where the IP hooks see only the bridge, by the bridge and the pod's address.
 */
function placeOf({
  cni,
}: PolicyCluster): Record<'from' | 'to', (pod: PolicyPod) => readonly PolicyMatch[]> {
  if (cni !== 'bridge') {
    return {
      from: ({ hostLink }) => [{ inLink: hostLink }],
      to: ({ hostLink }) => [{ outLink: hostLink }],
    };
  }
  return {
    from: ({ addresses }) =>
      addresses.map((address) => ({ inLink: POD_BRIDGE, source: asHost(address) })),
    to: ({ addresses }) =>
      addresses.map((address) => ({ outLink: POD_BRIDGE, destination: asHost(address) })),
  };
}

function nameOf({ namespace, name }: PolicyPod): string {
  return `${namespace}/${name}`;
}

function enter(
  chain: string,
  match: PolicyMatch,
  to: string,
  pod: PolicyPod,
  direction: Direction,
): PolicyRule {
  const word = direction === 'ingress' ? 'goes to' : 'comes from';
  return {
    chain,
    match,
    verdict: { kind: 'jump', chain: to },
    label: `${nameOf(pod)} ${direction}`,
    why: `What ${word} ${nameOf(pod)}, which policies isolate for ${direction}.`,
  };
}

function podChain({ pod, chain, direction, policies, allowances }: Isolation): PolicyRule[] {
  const label = `${nameOf(pod)} ${direction}`;
  const names = policies.join(', ');
  const drop: PolicyRule = {
    chain,
    match: {},
    verdict: { kind: 'drop' },
    label: `${label} denied`,
    why: `No rule of ${names} admits it: ${nameOf(pod)} is isolated for ${direction}.`,
  };
  const hbone: PolicyRule = {
    chain,
    match: { protocol: 'tcp', ports: [HBONE_PORT, HBONE_PORT] },
    verdict: { kind: 'drop' },
    label: `${label} HBONE denied`,
    why:
      `No rule of ${names} admits port ${HBONE_PORT}, on which the mesh brings everything in: ` +
      'counted by itself, since a policy written for the app’s port breaks the mesh just here.',
  };
  return [
    ...admitting(allowances).map((allowance): PolicyRule => ({
      chain,
      match: {},
      verdict: { kind: 'jump', chain: allowance.chain },
      label: allowance.label,
      why: `Admitted when the rule ${allowance.label} admits it.`,
    })),
    ...(direction === 'ingress' ? [hbone] : []),
    drop,
  ];
}

/** A rule whose peers or named ports exist nowhere admits nothing and needs no chain. */
function admitting(allowances: readonly Allowance[]): readonly Allowance[] {
  return allowances.filter(({ rules }) => rules.length > 0);
}

/** The chains of all policies, each once. */
function shared(isolated: readonly Isolation[]): readonly PolicyRule[] {
  const all = isolated.flatMap(({ allowances }) => admitting(allowances));
  return [...new Map(all.map((each) => [each.chain, each.rules])).values()].flat();
}

function fromNode(pod: PolicyPod, match: PolicyMatch): PolicyRule {
  return {
    chain: OUTPUT_CHAIN,
    match,
    verdict: { kind: 'accept' },
    label: `node to ${nameOf(pod)}`,
    why:
      `The node itself may always reach ${nameOf(pod)}: the kubelet’s probes come from there ` +
      '(Kubernetes holds policies to that).',
  };
}
