import type { GuestPlan } from '../plan/guests.ts';
import type { PodPlan } from '../plan/plan.ts';
import type { GuestStatus, LabStatus, PodStatus } from './lab.ts';
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
    pods: plan.pods.map((pod) => podStatus(pod, world)),
    ...(plan.guests && { guests: plan.guests.map(guestStatus) }),
    networkPolicies: world.networkPolicies.map(({ metadata }) => {
      return `${metadata.namespace ?? 'default'}/${metadata.name}`;
    }),
    processes: children.statuses(),
    capture: world.captureStatus(),
  };
}

function guestStatus(guest: GuestPlan): GuestStatus {
  const { name, namespace, node, address, secondAddress, link } = guest;
  return { name, namespace, node, address, ...(secondAddress && { secondAddress }), link };
}

function podStatus(pod: PodPlan, world: World): PodStatus {
  const { uid, name, namespace, node, address, secondAddress, netns, system, apps } = pod;
  const shown = apps.map((app) =>
    app.kind === 'command' ? app.argv.join(' ') : `${app.kind}:${app.port}`,
  );
  const addresses = { address, ...(secondAddress !== undefined && { secondAddress }) };
  const enrolled = world.isEnrolled(uid);
  const [labels, annotations] = [world.labelsOf(pod), world.annotationsOf(pod)];
  const meta = { uid, name, namespace, labels, annotations };
  return { ...meta, node, ...addresses, netns, system, enrolled, apps: shown };
}
