import type { CniName } from '../../topologies/cni.ts';
import type { NetworkPolicy } from '../../topologies/network-policy.ts';
import { addressesOf, hasIpv6 } from '../plan/families.ts';
import type { Plan, PodPlan } from '../plan/plan.ts';
import { namedPortsOf } from '../plan/pods.ts';

/** All that policies speak of, at one moment: pods with their labels, namespaces, policies. */
export interface PolicyCluster {
  readonly cni: CniName;
  readonly hasIpv6: boolean;
  readonly pods: readonly PolicyPod[];
  /** Labels by namespace. */
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly policies: readonly NetworkPolicy[];
}

export interface PolicyPod extends Pick<
  PodPlan,
  'uid' | 'name' | 'namespace' | 'node' | 'hostLink' | 'labels'
> {
  /** Of each family of the lab. */
  readonly addresses: readonly string[];
  /** Container ports by name. */
  readonly namedPorts: ReadonlyMap<string, number>;
}

/** What changes in a running lab: the plan has how it began. */
export interface PolicyState {
  readonly policies: readonly NetworkPolicy[];
  /** Labels by uid of the pod, of pods that were labelled anew. */
  readonly labels: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

/** Policies and labels as the topology has them. */
export function initialState({ objects }: Plan): PolicyState {
  return {
    policies: objects.filter((object) => object.kind === 'NetworkPolicy'),
    labels: new Map(),
  };
}

/** The cluster of a plan, with what has changed since it began. */
export function clusterOf(plan: Plan, { policies, labels }: PolicyState): PolicyCluster {
  const ports = namedPortsOf(plan.objects);
  const names = ['default', 'kube-system', ...plan.pods.map(({ namespace }) => namespace)];
  const written = new Map(
    plan.objects
      .filter(({ kind }) => kind === 'Namespace')
      .map(({ metadata }) => [metadata.name, metadata.labels ?? {}]),
  );
  return {
    cni: plan.cni,
    hasIpv6: hasIpv6(plan),
    policies,
    // Every namespace of a real cluster carries its name as a label.
    namespaces: new Map(
      [...new Set([...names, ...written.keys()])].map((name) => [
        name,
        { 'kubernetes.io/metadata.name': name, ...written.get(name) },
      ]),
    ),
    pods: plan.pods.map((pod) => ({
      uid: pod.uid,
      name: pod.name,
      namespace: pod.namespace,
      node: pod.node,
      addresses: addressesOf(pod),
      hostLink: pod.hostLink,
      labels: labels.get(pod.uid) ?? pod.labels,
      namedPorts: ports.get(pod.uid) ?? new Map(),
    })),
  };
}
