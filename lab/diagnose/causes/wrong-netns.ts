import type { Evidence, NodeEvidence, PodEvidence } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { nameOf, nodeOf, wishedPods, ztunnelListeners } from '../pod-facts.ts';

/** Pods that ztunnel says it serves while the namespace that it holds for them is another. */
export function findWrongNetns(evidence: Evidence): readonly Finding[] {
  return wishedPods(evidence).flatMap((pod): readonly Finding[] => {
    const node = nodeOf(evidence, pod);
    const { workloads, netns } = node.ztunnel;
    if (node.ztunnel.pid === undefined || netns.includes(pod.netns)) return [];
    // A ztunnel that does not tell may still hold what it should not.
    const isUp = workloads === undefined || workloads[pod.pod.uid] === 'Up';
    if (!isUp || othersHeld(evidence, node).length === 0) return [];
    return [findingOf(evidence, pod, node)];
  });
}

/** Pods outside the mesh whose namespaces a ztunnel holds all the same. */
export function strangersOf({ pods }: Evidence, { ztunnel }: NodeEvidence): readonly PodEvidence[] {
  return pods.filter(({ isWished, netns }) => !isWished && ztunnel.netns.includes(netns));
}

/** Namespaces that a ztunnel holds and that are of no pod of the mesh. */
function othersHeld(evidence: Evidence, node: NodeEvidence): readonly string[] {
  const known = new Set(evidence.pods.map(({ netns }) => netns));
  const nobodys = node.ztunnel.netns.filter((inode) => !known.has(inode));
  return [
    ...strangersOf(evidence, node).map(
      (other) => `net:[${other.netns}], which is ${nameOf(other)}'s, a pod outside the mesh`,
    ),
    ...nobodys.map((inode) => `net:[${inode}], which is no pod's`),
  ];
}

function findingOf(evidence: Evidence, pod: PodEvidence, node: NodeEvidence): Finding {
  const at = nameOf(pod);
  return {
    cause: 'wrong-netns',
    at,
    text: 'ztunnel says that the pod is up, but holds the network namespace of another for it',
    effect:
      "The pod's connections are refused; what happens in the other namespace is done in this pod's name.",
    evidence: [
      `config    ztunnel's config_dump has the pod as ${node.ztunnel.workloads?.[pod.pod.uid] ?? '(no answer)'}`,
      `/proc     it does not hold the pod's net:[${pod.netns}]`,
      ...othersHeld(evidence, node).map((line) => `/proc     it holds ${line}`),
      ...strangersOf(evidence, node).flatMap((other) =>
        ztunnelListeners(other, node)
          .slice(0, 1)
          .map(({ line }) => `ss        in ${nameOf(other)}: ${line}`),
      ),
    ],
    mend:
      `Enrol it anew: npm run lab -- leave ${at}, then enrol ${at}. In a cluster: restart the pod, ` +
      'and istio-cni of the node if it happens again.',
  };
}
