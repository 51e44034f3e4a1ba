import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { agentClient } from '../../dataplane/agent/client.ts';
import type { NodePlan, PodPlan } from '../plan/plan.ts';
import { readRules } from '../run/read-rules.ts';
import type { Lab, LabStatus } from '../world/lab.ts';
import { nodeSockets, seenFromOutside } from '../world/paths.ts';
import type { AgentEvidence, Evidence, NodeEvidence, PodEvidence } from './evidence.ts';
import { readListeners, readSettings } from './pod-readings.ts';
import { readHeldNetns, readNetnsInode, readProgram } from './process-evidence.ts';

/** An agent that is well answers within milliseconds; one on a busy machine later. */
const AGENT_PATIENCE_MS = 2_000;
const LAST_COMPLAINTS = 3;

/** Reads everything that a diagnosis rests on; nothing is changed. */
export async function readEvidence(lab: Lab): Promise<Evidence> {
  const { plan } = lab;
  const status = await lab.status();
  // First: programs by the dozen keep a small machine busy, and an agent would seem slow.
  const agents = await Promise.all(plan.nodes.map(({ name }) => readAgent(lab, status, name)));
  const [nodes, pods, drift] = await Promise.all([
    Promise.all(plan.nodes.map((node, at) => readNode(lab, status, node, agents[at] ?? {}))),
    Promise.all(plan.pods.map((pod) => readPod(lab, status, pod))),
    lab.drift(),
  ]);
  return { plan, nodes, pods, drift, probes: [], paths: [] };
}

async function readNode(
  lab: Lab,
  status: LabStatus,
  node: NodePlan,
  agent: AgentEvidence,
): Promise<NodeEvidence> {
  const { name } = node;
  const ztunnel = readProgram(lab, status, `ztunnel-${name}`);
  const [rules, policies, settings, ztunnelSettings, complaints] = await Promise.all([
    readRules(lab, name),
    lab.policyRules(name),
    readSettings(lab, name),
    readSettings(lab, node.ztunnelNetns),
    readComplaints(lab, `ztunnel-${name}`),
  ]);
  const netns = readHeldNetns(lab, ztunnel.pid);
  return {
    ...{ node, agent, rules, policies, settings, ztunnelSettings },
    ztunnel: { ...ztunnel, netns, complaints },
  };
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

async function readPod(lab: Lab, status: LabStatus, pod: PodPlan): Promise<PodEvidence> {
  const isWished = status.pods.some(({ uid, enrolled }) => uid === pod.uid && enrolled);
  const [rules, listeners, settings] = await Promise.all([
    readRules(lab, pod.netns),
    readListeners(lab, pod.netns),
    readSettings(lab, pod.netns),
  ]);
  const netns = readNetnsInode(lab, pod.netns);
  return { pod, isWished, rules, listeners, netns, settings };
}

async function readComplaints(lab: Lab, name: string): Promise<readonly string[]> {
  const text = await readFile(join(lab.directory, 'logs', `${name}.log`), 'utf8').catch(() => '');
  const lines = text.split('\n').filter((line) => /\t(warn|error)\t/.test(line));
  return lines.slice(-LAST_COMPLAINTS);
}
