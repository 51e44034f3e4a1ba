import { dirname, join } from 'node:path';
import { DEFAULT_GENEVE_RELEASE } from '../../dataplane/redirect/geneve-constants.ts';
import { hasIpv6 } from '../plan/families.ts';
import type { NodePlan, Plan } from '../plan/plan.ts';
import type { ChildSpec } from './child-table.ts';
import { nodeSockets } from './paths.ts';
import { programEnv } from './program-env.ts';
import { programArgv } from './programs.ts';

/** How a node's agent is started: in the node's own namespace, as a host-network pod is. */
export function agentSpec(plan: Plan, node: NodePlan): Omit<ChildSpec, 'netnsFd'> {
  const { zds, plugin } = nodeSockets(node.name);
  const env = programEnv({
    NODE_NAME: node.name,
    ERA: plan.era,
    IPTABLES_BACKEND: plan.iptables ?? '',
    ...(plan.tproxyRelease && { TPROXY_RELEASE: plan.tproxyRelease }),
    DNS_CAPTURE: String(plan.dnsCapture),
    ...(hasIpv6(plan) ? { ENABLE_IPV6: 'true' } : {}),
    ZDS_SOCKET: zds,
    PLUGIN_SOCKET: plugin,
    STATE_FILE: join(dirname(plugin), 'pods.json'),
    ...(plan.era === 'geneve' && {
      TUNNELS: plan.tunnels ?? '',
      GENEVE_RELEASE: plan.release ?? DEFAULT_GENEVE_RELEASE,
      NODE_IP: node.address,
      POD_RANGE: node.podRange,
      AMBIENT_CONFIG: join(dirname(plugin), 'config.json'),
    }),
  });
  const name = `agent-${node.name}`;
  return {
    kind: 'agent',
    name,
    node: node.name,
    netns: node.name,
    argv: programArgv('agent'),
    env,
  };
}
