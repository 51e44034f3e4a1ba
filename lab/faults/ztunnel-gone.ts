import type { LabStatus } from '../world/lab.ts';
import type { NodeFault } from './fault.ts';

const PATIENCE_MS = 5_000;

/** The ztunnel of one node was killed and does not come back. */
export const ztunnelGone: NodeFault = {
  name: 'ztunnel-gone',
  kind: 'node',
  title: 'The ztunnel of one node was killed and does not come back',
  seen:
    'Every connection of every enrolled pod of the node is refused at once (curl: exit 7), in and ' +
    'out, and names do not resolve (curl: exit 6). Pods outside the mesh notice nothing. In era ' +
    'geneve connections time out instead (1.18: pass in plain text).',
  field: 'Evicted, out of memory, or a rollout that went wrong: istio/istio#42610, ztunnel#521.',
  refusal: () => undefined,
  suits: ({ node }, status) => runs(status, node.name),
  prepare: async () => ({}),
  async apply({ lab, at: { node } }) {
    await lab.kill('ztunnel', node.name, 'SIGKILL');
    const deadline = performance.now() + PATIENCE_MS;
    while (runs(await lab.status(), node.name) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  },
  async mend({ lab, at: { node } }) {
    if (!runs(await lab.status(), node.name)) await lab.restart('ztunnel', node.name);
  },
};

function runs({ processes }: LabStatus, node: string): boolean {
  return processes.some(({ name, state }) => name === `ztunnel-${node}` && state !== 'exited');
}
