import { TopologyError, type TopologyFault } from '../../topologies/errors.ts';
import type { NetworkPolicy } from '../../topologies/network-policy.ts';
import type { KubernetesObject, Pod, PodSpec } from '../../topologies/objects.ts';
import { faultAt, nameOf, type PlacedObject } from '../../topologies/placed.ts';
import { lookUpPod } from '../../topologies/pod-names.ts';
import type { Plan, PodPlan } from '../plan/plan.ts';

/** What objects of a file change in a running lab. */
export type LiveChange =
  | { readonly kind: 'policy'; readonly policy: NetworkPolicy }
  | {
      readonly kind: 'pod';
      readonly pod: PodPlan;
      readonly labels: Readonly<Record<string, string>>;
      readonly annotations: Readonly<Record<string, string>>;
    }
  /** As the lab was made from, of a kind that cannot change. */
  | { readonly kind: 'same'; readonly object: KubernetesObject };

const KIND = { long: ['kind'], short: [] };
const NAME = { long: ['metadata', 'name'], short: [] };
const SPEC = { long: ['spec'], short: [] };

/**
 * What applying objects comes to: policies, and labels and annotations of pods; what is as it was
 * when the lab began may be there too.
 * @throws {TopologyError} TOPOLOGY_INVALID for whatever cannot change while the lab runs
 */
export function changesOf(placed: readonly PlacedObject[], plan: Plan): readonly LiveChange[] {
  const changes: LiveChange[] = [];
  const faults: TopologyFault[] = [];
  for (const one of placed) {
    const { object } = one;
    if (object.kind === 'NetworkPolicy') changes.push({ kind: 'policy', policy: object });
    else if (object.kind === 'Pod') {
      const change = changeOfPod(one, object, plan);
      if ('message' in change) faults.push(change);
      else changes.push(change);
    } else if (plan.objects.some((each) => JSON.stringify(each) === JSON.stringify(object))) {
      changes.push({ kind: 'same', object });
    } else {
      const wished = 'want a NetworkPolicy, or a Pod with other labels or annotations';
      faults.push(faultAt(one, KIND, `Cannot apply ${nameOf(object)} to a running lab: ${wished}`));
    }
  }
  if (faults.length > 0) throw new TopologyError('TOPOLOGY_INVALID', faults);
  return changes;
}

/**
 * Namespaces and names of the policies that are to go.
 * @throws {TopologyError} TOPOLOGY_INVALID for other kinds
 */
export function deletionsOf(
  placed: readonly PlacedObject[],
): readonly { readonly namespace: string; readonly name: string }[] {
  const faults = placed
    .filter(({ object }) => object.kind !== 'NetworkPolicy')
    .map((one) => {
      const text = `Cannot delete ${nameOf(one.object)} in a running lab: want a NetworkPolicy`;
      return faultAt(one, KIND, text);
    });
  if (faults.length > 0) throw new TopologyError('TOPOLOGY_INVALID', faults);
  return placed.map(({ object: { metadata } }) => {
    return { namespace: metadata.namespace ?? 'default', name: metadata.name };
  });
}

function changeOfPod(
  placed: PlacedObject,
  { metadata, spec }: Pod,
  plan: Plan,
): LiveChange | TopologyFault {
  const { name, namespace = 'default', labels, annotations } = metadata;
  const pod = plan.pods.find((each) => each.name === name && each.namespace === namespace);
  if (pod === undefined) {
    const found = lookUpPod(plan.pods, `${namespace}/${name}`);
    const suggestion = found.kind === 'unknown' ? found.suggestion : undefined;
    const text = `Cannot make the pod "${namespace}/${name}" while the lab runs: it has no such pod`;
    return faultAt(placed, NAME, text, suggestion === undefined ? {} : { suggestion });
  }
  if (JSON.stringify(specOf(plan, pod)) !== JSON.stringify(spec)) {
    const text = `Cannot change the spec of the pod "${namespace}/${name}" while it runs: want it as \`plan\` prints it`;
    return faultAt(placed, SPEC, text);
  }
  return { kind: 'pod', pod, labels: labels ?? {}, annotations: annotations ?? {} };
}

/** The spec a pod was made from: its own, or that of its Deployment's template. */
function specOf({ objects }: Plan, pod: PodPlan): PodSpec | undefined {
  const wanted = pod.workloadType === 'pod' ? pod.name : pod.workloadName;
  for (const object of objects) {
    const { name, namespace = 'default' } = object.metadata;
    if (name !== wanted || namespace !== pod.namespace) continue;
    if (object.kind === 'Pod') return object.spec;
    if (object.kind === 'Deployment') return object.spec.template.spec;
  }
  return undefined;
}
