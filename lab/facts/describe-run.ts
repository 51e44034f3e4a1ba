import { addressesOf, nodeAddresses, vipsOf } from '../plan/families.ts';
import type { Plan } from '../plan/plan.ts';
import type { Recording } from '../capture/layout.ts';
import type { InterfaceFacts, Place, Problem } from './facts.ts';
import type { NetnsMap } from './netns-map.ts';

/** Who has which addresses, from the plan. */
export function describePlaces(plan: Plan, map: NetnsMap): readonly Place[] {
  const pods = plan.pods.map<Place>((pod) => ({
    name: pod.name,
    kind: 'pod',
    namespace: pod.namespace,
    workload: pod.workloadName,
    netns: pod.netns,
    node: pod.node,
    addresses: addressesOf(pod),
    identity: `spiffe://${plan.trustDomain}/ns/${pod.namespace}/sa/${pod.serviceAccount}`,
  }));
  const guests = (plan.guests ?? []).map<Place>((guest) => ({
    name: guest.name,
    kind: 'pod',
    namespace: guest.namespace,
    workload: guest.name,
    netns: guest.netns,
    node: guest.node,
    addresses: addressesOf(guest),
  }));
  const nodes = plan.nodes.map<Place>((node) => ({
    name: node.name,
    kind: 'node',
    netns: node.name,
    node: node.name,
    addresses: [
      ...new Set([
        ...nodeAddresses(node).flatMap(({ address, gateway }) => [address, gateway]),
        ...addressesIn(plan, node.name),
      ]),
    ],
  }));
  const outside = plan.netns
    .filter(({ role }) => role === 'outside')
    .map<Place>(({ name }) => ({
      name: 'outside',
      kind: 'outside',
      netns: name,
      addresses: addressesIn(plan, name),
    }));
  const services = plan.services.map<Place>((service) => ({
    name: `${service.name}.${service.namespace}`,
    kind: 'service',
    namespace: service.namespace,
    netns: '',
    addresses: vipsOf(service),
  }));
  const placed = nodes.filter(({ netns }) => map.roleOf(netns) === 'node');
  return [...pods, ...guests, ...placed, ...outside, ...services];
}

function addressesIn(plan: Plan, netns: string): readonly string[] {
  const found = plan.netns.find(({ name }) => name === netns);
  return (found?.addresses ?? []).map(({ address }) => address.split('/')[0] ?? address);
}

/** What is known of an interface beside its packets. */
export function describeInterface(
  map: NetnsMap,
  seen: Pick<
    InterfaceFacts,
    'netns' | 'name' | 'file' | 'frames' | 'kernelDrops' | 'clippedFrames'
  >,
): InterfaceFacts {
  const node = map.nodeOf(seen.netns);
  const peer = map.peerOf(seen.netns, seen.name);
  const bridge = map.bridgeOf(seen.netns, seen.name);
  return {
    ...seen,
    role: map.roleOf(seen.netns),
    ...(node !== undefined && { node }),
    ...(peer !== undefined && { peer }),
    ...(bridge !== undefined && { bridge }),
  };
}

/**
 * What makes the evidence of a recording incomplete: no packets at all, frames that the kernel
 * dropped, fewer frames in a file than the recorder counted.
 */
export function findProblems(
  recording: Recording | undefined,
  interfaces: readonly InterfaceFacts[],
): readonly Problem[] {
  const problems: Problem[] = [];
  if (interfaces.every(({ frames }) => frames === 0)) {
    problems.push({ kind: 'empty-capture', text: 'packets: the capture is empty' });
  }
  for (const each of interfaces) {
    const place = `${each.netns}/${each.name}`;
    const { file } = each;
    if (each.kernelDrops > 0) {
      const text = `a recording without loss: the kernel dropped ${each.kernelDrops} frames on ${place}`;
      problems.push({ kind: 'kernel-drops', text, file });
    }
    if (each.clippedFrames > 0) {
      const text = `${each.clippedFrames} frames on ${place} are clipped`;
      problems.push({ kind: 'clipped-frames', text, file });
    }
    const told = recording?.interfaces.find(
      ({ netns, name }) => netns === each.netns && name === each.name,
    );
    if (told !== undefined && told.frames !== each.frames) {
      const text = `a whole file of ${place}: ${each.frames} frames of ${told.frames} are there`;
      problems.push({ kind: 'unreadable-file', text, file });
    }
  }
  return problems;
}
