import { inPlace } from '../world/in-place.ts';
import type { Plan, PodPlan } from '../plan/plan.ts';
import type { Lab, LabStatus } from '../world/lab.ts';
import { agentOf, enrolmentOf } from './agent-of.ts';
import { enrolledPod, needsRulesInPods } from './in-pod.ts';
import type { PodFault } from './fault.ts';

const TIMEOUT_MS = 15_000;

/** The agent gave ztunnel the namespace of another pod of the node under this pod's name. */
export const wrongNetns: PodFault = {
  name: 'wrong-netns',
  kind: 'pod',
  title: 'ztunnel was handed the network namespace of another pod of the node',
  seen:
    'Every connection of the pod is refused (curl: exit 7), while a neighbour that is not in the ' +
    "mesh suddenly speaks mTLS, with this pod's identity.",
  field: 'The agent picks a wrong namespace for a pod: istio/istio#55139, #61211.',
  refusal: needsRulesInPods,
  suits: (at, status, plan) =>
    enrolledPod(at, status, plan) && neighbourOf(at.pod, status, plan) !== undefined,
  async prepare({ lab, at: { pod } }) {
    const other = neighbourOf(pod, await lab.status(), lab.plan);
    return { other: other?.netns, tables: other && (await tablesOf(lab, other.netns)) };
  },
  async apply({ lab, at: { pod } }, { other }) {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    await agentOf(lab, pod.node).enrol(enrolmentOf(pod, String(other)), { signal });
  },
  async mend({ lab, at: { pod } }, { other, tables }) {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const agent = agentOf(lab, pod.node);
    const known = (await agent.pods({ signal })).some(({ uid }) => uid === pod.uid);
    // Takes the rules out of the namespace that the agent believes to be the pod's.
    if (known) await agent.leave({ uid: pod.uid }, { signal });
    await agent.enrol(enrolmentOf(pod), { signal });
    await deleteNewTables(lab, String(other), tables as readonly string[]);
  },
};

/** A pod of the user's on the same node that is not in the mesh. */
function neighbourOf(pod: PodPlan, { pods }: LabStatus, plan: Plan): PodPlan | undefined {
  const enrolled = new Set(pods.filter((one) => one.enrolled).map(({ uid }) => uid));
  return plan.pods.find(
    ({ uid, node, system }) => node === pod.node && !system && !enrolled.has(uid),
  );
}

async function tablesOf(lab: Lab, netns: string): Promise<readonly string[]> {
  const listed = await inPlace(lab, netns, ['nft', 'list', 'tables']).catch(() => '');
  return listed.split('\n').filter((line) => line !== '');
}

/** iptables leaves the tables that it has made, empty, and the neighbour had none. */
async function deleteNewTables(lab: Lab, netns: string, before: readonly string[]): Promise<void> {
  const left = (await tablesOf(lab, netns)).filter((table) => !before.includes(table));
  if (left.length === 0) return;
  await inPlace(lab, netns, ['nft', '-f', '-'], left.map((table) => `delete ${table}\n`).join(''));
}
