import { agentClient, type AgentClient } from '../../dataplane/agent/client.ts';
import type { EnrolRequest } from '../../dataplane/agent/api.ts';
import { addressesOf } from '../plan/families.ts';
import type { PodPlan } from '../plan/plan.ts';
import type { Lab } from '../world/lab.ts';
import { netnsPath, nodeSockets, seenFromOutside } from '../world/paths.ts';

/** The agent of a node, by its plugin socket. */
export function agentOf(lab: Lab, node: string): AgentClient {
  return agentClient(seenFromOutside(lab, nodeSockets(node).plugin));
}

/** What the agent is asked to enrol; with the namespace of another pod when that is named. */
export function enrolmentOf(pod: PodPlan, netns: string = pod.netns): EnrolRequest {
  const { uid, name, namespace, serviceAccount, annotations } = pod;
  const ips = addressesOf(pod);
  return { uid, name, namespace, serviceAccount, annotations, netns: netnsPath(netns), ips };
}
