import type { Era } from '../../../dataplane/redirect/era.ts';
import { parseTopology } from '../../../topologies/load.ts';
import { planLab } from '../../plan/plan-lab.ts';
import { createLab } from '../../world/client.ts';
import type { Lab } from '../../world/lab.ts';
import { untilNamespacesFreed } from './namespaces-freed.ts';
import type { Times } from './times.ts';

/** A node's pod range holds no more than 253. */
const PODS_PER_NODE = 250;
const START_TIMEOUT_MS = 300_000;

/** Pods of the mesh, each with an app that listens, on as few nodes as hold them evenly. */
export function podsTopology(name: string, pods: number, era: Era): string {
  const nodes = Array.from({ length: Math.ceil(pods / PODS_PER_NODE) }, (_, i) => `node${i + 1}`);
  const workloads = Array.from({ length: pods }, (_, i) => {
    const node = nodes[i % nodes.length];
    return `  pod${i + 1}: { namespace: demo, node: ${node}, app: http, port: 8080 }\n`;
  });
  return (
    `name: ${name}\nera: ${era}\nnodes: [${nodes.join(', ')}]\n` +
    `namespaces: { demo: { mode: ambient } }\nworkloads:\n${workloads.join('')}`
  );
}

/**
 * Builds a lab out of a topology's text and removes it: from reading the text to the moment where
 * every rule is read back, every pod acked by its ztunnel and every app listens.
 */
export async function measureOurs(name: string, pods: number, era: Era): Promise<Times> {
  const text = podsTopology(name, pods, era);
  const began = performance.now();
  const plan = planLab(parseTopology(text, `${name}.yaml`));
  const lab = await createLab(plan, { startTimeoutMs: START_TIMEOUT_MS });
  const buildMs = performance.now() - began;
  try {
    await checkBuilt(lab, pods);
  } catch (error) {
    await lab.down();
    throw error;
  }
  const ending = performance.now();
  await lab.down();
  await untilNamespacesFreed();
  return { buildMs, removeMs: performance.now() - ending };
}

/** Outside of what is measured: everything that was wished is there. */
async function checkBuilt(lab: Lab, pods: number): Promise<void> {
  const status = await lab.status();
  const enrolled = status.pods.filter((pod) => pod.enrolled && pod.apps.length > 0).length;
  const lost = status.processes.filter(({ state }) => state !== 'ready');
  const faults = await lab.drift();
  if (enrolled === pods && lost.length === 0 && faults.length === 0) return;
  throw new Error(
    `Cannot measure: ${enrolled} of ${pods} pods are in the mesh, ${lost.length} programs lost, ` +
      `${faults.length} differences from the plan: ${faults[0] ?? ''}`,
  );
}
