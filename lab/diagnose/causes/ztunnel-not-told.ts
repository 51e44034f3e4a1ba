import type { Evidence, NodeEvidence, PodEvidence } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { foreignListeners, nameOf, nodeOf, rulesStateOf, wishedPods } from '../pod-facts.ts';
import { strangersOf } from './wrong-netns.ts';

/** Pods with rules that a running ztunnel holds no socket and no namespace of. */
export function findZtunnelNotTold(evidence: Evidence): readonly Finding[] {
  return wishedPods(evidence).flatMap((pod): readonly Finding[] => {
    const node = nodeOf(evidence, pod);
    const isServed = node.ztunnel.netns.includes(pod.netns);
    // One that ztunnel knows by name is another cause: the wrong namespace, or a port that is taken.
    const isNamed = node.ztunnel.workloads?.[pod.pod.uid] !== undefined;
    if (node.ztunnel.pid === undefined || isServed || isNamed) return [];
    if (foreignListeners(pod, node).length > 0 || strangersOf(evidence, node).length > 0) return [];
    if (rulesStateOf(pod).present === 'none') return [];
    return [findingOf(pod, node)];
  });
}

function findingOf(pod: PodEvidence, node: NodeEvidence): Finding {
  const at = nameOf(pod);
  const { status } = node.agent;
  const record = status?.pods.find(({ uid }) => uid === pod.pod.uid);
  return {
    cause: 'ztunnel-not-told',
    at,
    text: "The redirect's rules are in the pod, but ztunnel does not serve it",
    effect:
      'Every connection of the pod is refused, in and out: nobody listens where rules send it.',
    evidence: [
      'ss        no socket on 15001, 15006 or 15008 in the pod',
      `/proc     ztunnel (pid ${node.ztunnel.pid}) holds ${node.ztunnel.netns.length} network namespaces, ` +
        `none is the pod's net:[${pod.netns}]`,
      status === undefined
        ? `agent     no answer: ${node.agent.silence ?? node.agent.end ?? '?'}`
        : `agent     ${record === undefined ? 'does not know the pod' : `has it as ${record.state}, acked ${String(record.acked)}`}`,
    ],
    mend:
      `Enrol it anew: npm run lab -- leave ${at}, then enrol ${at}. In a cluster: restart istio-cni ` +
      'of the node, which sends ztunnel a snapshot of all pods, or the pod.',
  };
}
