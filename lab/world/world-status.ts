import type { PodPlan } from '../plan/plan.ts';
import type { LabStatus, PodStatus } from './lab.ts';
import type { World } from './world.ts';

/** What runs, with addresses and modes. */
export function statusOf(world: World): LabStatus {
  const { plan, state, startedNs, children } = world;
  return {
    name: plan.lab,
    state,
    topologyFile: plan.topologyFile,
    era: plan.era,
    startedNs: startedNs.toString(),
    nodes: plan.nodes.map(({ name, address, podRange, ztunnelAddress, second }) => {
      return { name, address, podRange, ztunnelAddress, ...(second && { second }) };
    }),
    pods: plan.pods.map((pod) => podStatus(pod, world.isEnrolled(pod.uid))),
    processes: children.statuses(),
    capture: world.captureStatus(),
  };
}

function podStatus(pod: PodPlan, enrolled: boolean): PodStatus {
  const { uid, name, namespace, node, address, secondAddress, netns, system, apps } = pod;
  const shown = apps.map((app) =>
    app.kind === 'command' ? app.argv.join(' ') : `${app.kind}:${app.port}`,
  );
  const addresses = { address, ...(secondAddress !== undefined && { secondAddress }) };
  return { uid, name, namespace, node, ...addresses, netns, system, enrolled, apps: shown };
}
