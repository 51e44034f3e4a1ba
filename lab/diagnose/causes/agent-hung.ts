import type { Evidence } from '../evidence.ts';
import type { Finding } from '../finding.ts';

/** Nodes whose agent does not run, or runs and does not answer. */
export function findAgentHung(evidence: Evidence): readonly Finding[] {
  return evidence.nodes.flatMap(({ node, agent }): readonly Finding[] => {
    if (agent.status !== undefined) return [];
    const isGone = agent.pid === undefined;
    return [
      {
        cause: isGone ? 'agent-gone' : 'agent-hung',
        at: node.name,
        text: isGone
          ? 'The agent (istio-cni) of the node does not run'
          : 'The agent (istio-cni) of the node runs, but does not answer on its socket',
        effect:
          'Pods that are in the mesh go on; none can join or leave, new ones do not start, a ztunnel that restarts gets no pods.',
        evidence: isGone
          ? [`process   ${agent.end ?? 'gone'}`]
          : [
              `socket    pluginevent.sock: ${agent.silence ?? 'no answer'}`,
              `process   pid ${agent.pid}, state ${agent.state}${agent.state === 'T' ? ' (stopped)' : ''}`,
            ],
        mend:
          'Look at what it waits for (its stack, locks of iptables, CPU limits) and restart istio-cni ' +
          'of the node; pods keep their rules.',
      },
    ];
  });
}
