import type { TopologyFault } from './errors.ts';
import { GUEST_ANNOTATION } from './expand.ts';
import { notOfLab } from './check-addresses.ts';
import { FAULT_PLACES } from './fault-names.ts';
import { familyOf, type IpFamily } from './ip.ts';
import { parseLegNotation } from './leg-notation.ts';
import { nearest } from './nearest.ts';
import type { PlacedObject } from './placed.ts';
import { lookUpPod, type NamedPod } from './pod-names.ts';
import { podNamesOf } from './replica-names.ts';
import { parseRequestTarget, type TargetHost } from './request-target.ts';
import type { ScenarioInput } from './scenario-schema.ts';
import { namesOfService } from './service-names.ts';
import type { Path, SourceDocument } from './source.ts';
import type { ExpectationChanges } from './topology.ts';

/** The lab's own pod that is the cluster's DNS. */
const DNS_POD = 'coredns';

/** Names a scenario may use. */
interface World {
  readonly pods: readonly NamedPod[];
  readonly nodes: readonly string[];
  readonly services: readonly { readonly name: string; readonly namespace: string }[];
  readonly ipFamilies: readonly IpFamily[];
}

/** Faults of scenarios: words that name no pod, node or service, targets and legs that are none. */
export function checkScenarios(
  scenarios: readonly ScenarioInput[],
  parts: {
    readonly placed: readonly PlacedObject[];
    readonly nodes: readonly string[];
    readonly ipFamilies: readonly IpFamily[];
  },
  document: SourceDocument,
): TopologyFault[] {
  const world = { ...worldOf(parts.placed, parts.nodes), ipFamilies: parts.ipFamilies };
  const names = new Set<string>();
  return scenarios.flatMap((scenario, index) => {
    const at: Path = ['scenarios', index];
    const faults = checkScenario(scenario, world, at, document);
    if (names.has(scenario.name)) {
      faults.push(document.fault([...at, 'name'], `Scenario "${scenario.name}" is defined twice`));
    }
    names.add(scenario.name);
    return faults;
  });
}

function worldOf(
  placed: readonly PlacedObject[],
  nodes: readonly string[],
): Omit<World, 'ipFamilies'> {
  const pods: NamedPod[] = [];
  const services: { name: string; namespace: string }[] = [];
  for (const { object } of placed) {
    const { name, namespace = 'default' } = object.metadata;
    if (object.kind === 'Service') services.push({ name, namespace });
    if (object.kind === 'Pod') {
      pods.push({ name, namespace, workloadName: name });
      if (object.metadata.annotations?.[GUEST_ANNOTATION] === undefined) continue;
      pods.push({ name: `${name}-guest`, namespace, workloadName: `${name}-guest` });
    }
    if (object.kind !== 'Deployment') continue;
    for (const pod of podNamesOf(object)) pods.push({ name: pod, namespace, workloadName: name });
  }
  return { pods, nodes, services };
}

function checkScenario(
  scenario: ScenarioInput,
  world: World,
  at: Path,
  document: SourceDocument,
): TopologyFault[] {
  const faults: TopologyFault[] = [];
  const check = (path: Path, problem: Problem | undefined): void => {
    if (!problem) return;
    const { message, suggestion } = problem;
    faults.push(document.fault([...at, ...path], message, { suggestion }));
  };
  for (const [index, step] of (scenario.before ?? []).entries()) {
    for (const key of ['enrol', 'leave'] as const) {
      const pod = step[key];
      if (pod !== undefined) check(['before', index, key], podProblem(pod, world));
    }
    for (const key of ['break', 'mend'] as const) {
      const { fault, at: place } = step[key] ?? {};
      if (fault === undefined || place === undefined) continue;
      const problem = FAULT_PLACES[fault] === 'pod' ? podProblem : nodeProblem;
      check(['before', index, key, 'at'], problem(place, world));
    }
    if (step.label) check(['before', index, 'label', 'pod'], podProblem(step.label.pod, world));
  }
  const { from, to, ipFamily } = scenario.request;
  check(['request', 'from'], partyProblem(from, world));
  check(['request', 'to'], targetProblem(to, from, world));
  if (ipFamily !== undefined) check(['request', 'ipFamily'], familyProblem(ipFamily, to, world));
  checkExpectations(scenario.expect, ['expect'], world, check);
  for (const [era, changes] of Object.entries(scenario.eras ?? {})) {
    checkExpectations(changes, ['eras', era], world, check);
  }
  return faults;
}

function checkExpectations(
  expect: ExpectationChanges,
  at: Path,
  world: World,
  check: (path: Path, problem: Problem | undefined) => void,
): void {
  if (typeof expect.source === 'string' && familyOf(expect.source) === undefined) {
    check([...at, 'source'], partyProblem(expect.source, world));
  }
  for (const key of ['encryptedBetween', 'plainBetween'] as const) {
    const pair = expect[key] ?? [];
    for (const [index, node] of pair.entries()) {
      check([...at, key, index], nodeProblem(node, world));
    }
    if (pair.length === 2 && pair[0] === pair[1]) {
      check([...at, key], { message: `Want two different nodes, got "${pair[0]}" twice` });
    }
  }
  for (const [index, leg] of (expect.legs ?? []).entries()) {
    check([...at, 'legs', index], legProblem(leg, world));
  }
  for (const [index, link] of (expect.quiet ?? []).entries()) {
    check([...at, 'quiet', index], netnsProblem(link.split('/')[0]!, world));
  }
}

interface Problem {
  readonly message: string;
  readonly suggestion?: string;
}

function podProblem(word: string, { pods }: World): Problem | undefined {
  const found = lookUpPod(pods, word);
  if (found.kind === 'found') return undefined;
  if (found.kind === 'unknown') {
    return { message: `Unknown pod "${word}"`, suggestion: found.suggestion };
  }
  return { message: `"${word}" may be ${list(found.names)}: want one of them` };
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

function nodeProblem(word: string, { nodes }: World): Problem | undefined {
  if (nodes.includes(word)) return undefined;
  return { message: `Unknown node "${word}"`, suggestion: nearest(word, nodes) };
}

/** A pod, a node or `outside`. */
function partyProblem(word: string, world: World): Problem | undefined {
  if (word === 'outside' || world.nodes.includes(word)) return undefined;
  const problem = podProblem(word, world);
  if (!problem?.message.startsWith('Unknown')) return problem;
  const suggestion = problem.suggestion ?? nearest(word, [...world.nodes, 'outside']);
  return { message: `Unknown pod or node "${word}"`, suggestion };
}

function legProblem(text: string, world: World): Problem | undefined {
  const leg = parseLegNotation(text);
  if (!leg) return { message: `Not a port in "${text}": want 1 to 65535` };
  for (const { name, node } of [leg.from, leg.to]) {
    const problem = bracketProblem(name, node, world) ?? legParty(name, world);
    if (problem) return problem;
  }
  return undefined;
}

/** In brackets stands the node of a ztunnel, or the pod of a sidecar. */
function bracketProblem(
  name: string,
  inside: string | undefined,
  world: World,
): Problem | undefined {
  if (inside === undefined) return undefined;
  return name === 'envoy' ? podProblem(inside, world) : nodeProblem(inside, world);
}

/** Every pod of a workload may be a party of a leg, so a Deployment's name is not ambiguous. */
function legParty(name: string, world: World): Problem | undefined {
  if (['ztunnel', 'envoy', DNS_POD].includes(name) || familyOf(name) !== undefined)
    return undefined;
  if (world.pods.some(({ workloadName }) => workloadName === name)) return undefined;
  const problem = partyProblem(name, world);
  if (problem === undefined || problem.suggestion !== undefined) return problem;
  return { ...problem, suggestion: nearest(name, ['ztunnel', 'envoy']) };
}

function netnsProblem(netns: string, world: World): Problem | undefined {
  const names = [
    'fabric',
    'outside',
    `${DNS_POD}.kube-system`,
    ...world.nodes,
    ...world.nodes.map((node) => `ztunnel-${node}.istio-system`),
    ...world.pods.map(({ name, namespace }) => `${name}.${namespace}`),
  ];
  if (names.includes(netns)) return undefined;
  return { message: `Unknown netns "${netns}"`, suggestion: nearest(netns, names) };
}

function targetProblem(to: string, from: string, world: World): Problem | undefined {
  const target = parseRequestTarget(to);
  if (typeof target === 'string') return { message: target };
  // A question may be for any name, known or not.
  if (target.scheme.startsWith('dns')) return undefined;
  return hostProblem(target.host, from, world);
}

function addressProblem(address: string, { ipFamilies }: World): Problem | undefined {
  const family = familyOf(address);
  if (family === undefined) return { message: `Not an IP address "${address}"` };
  // Loopback has both families everywhere.
  if (address === '::1' || ipFamilies.includes(family)) return undefined;
  return { message: notOfLab(family, ipFamilies) };
}

function familyProblem(wished: IpFamily, to: string, { ipFamilies }: World): Problem | undefined {
  if (!ipFamilies.includes(wished)) return { message: notOfLab(wished, ipFamilies) };
  const target = parseRequestTarget(to);
  if (typeof target === 'string' || target.host.kind !== 'address') return undefined;
  const { address } = target.host;
  const family = familyOf(address);
  if (family === undefined || family === wished) return undefined;
  return { message: `Want ${family} or no "ipFamily" for the address "${address}"` };
}

function hostProblem(host: TargetHost, from: string, world: World): Problem | undefined {
  switch (host.kind) {
    case 'pod':
      return podProblem(host.pod, world);
    case 'node':
      return nodeProblem(host.node, world);
    case 'address':
      return addressProblem(host.address, world);
    case 'name': {
      const client = lookUpPod(world.pods, from);
      const namespace = client.kind === 'found' ? client.pod.namespace : undefined;
      const names = world.services.flatMap((service) => namesOfService(service, namespace));
      if (names.includes(host.name)) return undefined;
      const message = `Unknown service "${host.name}"`;
      return { message, suggestion: nearest(host.name, names) };
    }
    case 'outside':
    case 'self':
      return undefined;
  }
}
