import { agentClient } from '../../dataplane/agent/client.ts';
import { closeNetns, openNetns } from '../../dataplane/kernel/netns.ts';
import type { NodePlan, PodPlan } from '../plan/plan.ts';
import { readRules } from '../run/read-rules.ts';
import type { Lab, LabStatus } from '../world/lab.ts';
import { getInNetns } from '../world/netns-http.ts';
import { netnsPath, nodeSockets, seenFromOutside } from '../world/paths.ts';
import type {
  AgentEvidence,
  Evidence,
  NodeEvidence,
  PodEvidence,
  ZtunnelEvidence,
} from './evidence.ts';
import { readListeners, readReadings, readSettings } from './pod-readings.ts';
import { probeHbone } from './probe-hbone.ts';
import { probePaths } from './probe-paths.ts';
import { readHeldNetns, readNetnsInode, readProgram } from './process-evidence.ts';

/** An agent that is well answers within milliseconds; one on a busy machine later. */
const AGENT_PATIENCE_MS = 2_000;
const ADMIN_PORT = 15000;

/** Reads everything that a diagnosis rests on, and sends its probes; nothing is changed. */
export async function readEvidence(lab: Lab): Promise<Evidence> {
  const { plan } = lab;
  const status = await lab.status();
  // First: programs by the dozen keep a small machine busy, and an agent would seem slow.
  const agents = await Promise.all(plan.nodes.map(({ name }) => readAgent(lab, status, name)));
  const ztunnels = await Promise.all(plan.nodes.map((node) => readZtunnel(lab, status, node)));
  const meshed = plan.pods.filter(({ uid }) => isWished(uid, status, agents));
  const probes = plan.era === 'geneve' ? [] : await probeHbone(lab, meshed);
  const paths = await probePaths(lab, plan.nodes);
  const [nodes, pods, drift] = await Promise.all([
    Promise.all(
      plan.nodes.map((node, at) =>
        readNode(lab, node, { agent: agents[at] ?? {}, ztunnel: ztunnels[at] ?? { netns: [] } }),
      ),
    ),
    Promise.all(plan.pods.map((pod) => readPod(lab, pod, isWished(pod.uid, status, agents)))),
    lab.drift(),
  ]);
  return { plan, nodes, pods, drift, probes, paths };
}

/** A pod that asks for the mesh, by its labels or because an agent is at it. */
function isWished(uid: string, { pods }: LabStatus, agents: readonly AgentEvidence[]): boolean {
  if (pods.some((pod) => pod.uid === uid && pod.enrolled)) return true;
  return agents.some(({ status }) =>
    status?.pods.some((pod) => pod.uid === uid && pod.state !== 'leaving'),
  );
}

async function readNode(
  lab: Lab,
  node: NodePlan,
  programs: Pick<NodeEvidence, 'agent' | 'ztunnel'>,
): Promise<NodeEvidence> {
  const { name } = node;
  const [rules, policies, own, ofZtunnel] = await Promise.all([
    readRules(lab, name),
    lab.policyRules(name),
    readReadings(lab, name),
    readReadings(lab, node.ztunnelNetns),
  ]);
  return { node, ...programs, rules, policies, own, ofZtunnel };
}

async function readAgent(lab: Lab, status: LabStatus, node: string): Promise<AgentEvidence> {
  const program = readProgram(lab, status, `agent-${node}`);
  if (program.pid === undefined) return program;
  const client = agentClient(seenFromOutside(lab, nodeSockets(node).plugin));
  try {
    const signal = AbortSignal.timeout(AGENT_PATIENCE_MS);
    return { ...program, status: await client.status({ signal }) };
  } catch (error) {
    const isLate = error instanceof Error && /abort/i.test(error.name);
    const why = isLate ? `connected, but no answer in ${AGENT_PATIENCE_MS} ms` : String(error);
    return { ...program, silence: why };
  }
}

async function readZtunnel(lab: Lab, status: LabStatus, node: NodePlan): Promise<ZtunnelEvidence> {
  const program = readProgram(lab, status, `ztunnel-${node.name}`);
  const netns = readHeldNetns(lab, program.pid);
  if (program.pid === undefined) return { ...program, netns };
  const workloads = await readWorkloads(lab, node).catch(() => undefined);
  return { ...program, netns, ...(workloads && { workloads }) };
}

/** States of the pods that a ztunnel serves, by its own dump. */
async function readWorkloads(lab: Lab, node: NodePlan): Promise<Record<string, string>> {
  const place = openNetns(seenFromOutside(lab, netnsPath(node.ztunnelNetns)));
  try {
    const { body } = await getInNetns(place, '127.0.0.1', ADMIN_PORT, '/config_dump');
    const { workloadState = {} } = JSON.parse(body) as {
      readonly workloadState?: Readonly<Record<string, { readonly state: string }>>;
    };
    return Object.fromEntries(
      Object.entries(workloadState).map(([uid, { state }]) => [uid, state]),
    );
  } finally {
    closeNetns(place);
  }
}

async function readPod(lab: Lab, pod: PodPlan, isWished: boolean): Promise<PodEvidence> {
  const [rules, listeners, settings] = await Promise.all([
    readRules(lab, pod.netns),
    readListeners(lab, pod.netns),
    readSettings(lab, pod.netns),
  ]);
  const netns = readNetnsInode(lab, pod.netns);
  return { pod, isWished, rules, listeners, netns, settings };
}
