import type { Evidence, NodeEvidence } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { nameOf, wishedPods } from '../pod-facts.ts';

/** Nodes whose ztunnel does not run, or is stopped. */
export function findZtunnelGone(evidence: Evidence): readonly Finding[] {
  return evidence.nodes.flatMap((node): readonly Finding[] => {
    const { ztunnel } = node;
    const isStopped = ztunnel.state === 'T';
    if (ztunnel.pid !== undefined && !isStopped) return [];
    const name = node.node.name;
    return [
      {
        cause: 'ztunnel-gone',
        at: name,
        text: isStopped
          ? 'The ztunnel of the node is stopped'
          : 'The ztunnel of the node does not run',
        effect:
          evidence.plan.era === 'geneve'
            ? "Connections of the node's enrolled pods time out (1.18: they pass in plain text)."
            : "Every connection of the node's enrolled pods is refused, in and out, and so are their DNS questions.",
        evidence: [
          `process   ${ztunnel.end ?? `pid ${ztunnel.pid}, state ${ztunnel.state}`}`,
          ...socketsOf(evidence, node),
        ],
        mend: `Start it again; its pod's own log and "kubectl describe" say why it ended. Here: npm run lab -- mend ztunnel-gone ${name}.`,
      },
    ];
  });
}

function socketsOf(evidence: Evidence, { node }: NodeEvidence): readonly string[] {
  if (evidence.plan.era === 'geneve') return [];
  return wishedPods(evidence)
    .filter(({ pod }) => pod.node === node.name)
    .map((pod) => `ss        nobody listens on 15001, 15006 and 15008 in ${nameOf(pod)}`);
}
