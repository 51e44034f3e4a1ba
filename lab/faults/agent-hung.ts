import type { NodeFault } from './fault.ts';

/** The node's agent is there and does nothing. */
export const agentHung: NodeFault = {
  name: 'agent-hung',
  kind: 'node',
  title: "The node's agent (istio-cni) hangs: it runs and answers nobody",
  seen:
    'What is in the mesh goes on as if nothing were. No pod of the node can join or leave: new ones ' +
    'stay in ContainerCreating (the CNI plugin gives up after 5 s), a ztunnel that restarts gets no pods.',
  field: 'Starved of CPU, stuck on a lock of iptables, or deadlocked.',
  refusal: () => undefined,
  suits: ({ node }, { processes }) =>
    processes.some(({ name, state }) => name === `agent-${node.name}` && state !== 'exited'),
  prepare: async () => ({}),
  apply: ({ lab, at: { node } }) => lab.kill('agent', node.name, 'SIGSTOP'),
  mend: ({ lab, at: { node } }) => lab.kill('agent', node.name, 'SIGCONT'),
};
