import type { Plan, PodPlan } from '../plan/plan.ts';
import { nearest } from '../../topologies/nearest.ts';
import { LabError } from './errors.ts';

/** A place in the world where a program can run or a request can start. */
export type Target =
  | { readonly kind: 'pod'; readonly netns: string; readonly address: string; readonly pod: PodPlan }
  | { readonly kind: 'node'; readonly netns: string; readonly address: string; readonly node: string }
  | {
      readonly kind: 'ztunnel';
      readonly netns: string;
      readonly address: string;
      readonly node: string;
    }
  | { readonly kind: 'outside'; readonly netns: string; readonly address: string }
  | { readonly kind: 'fabric'; readonly netns: string; readonly address: undefined };

/**
 * Finds what a person means by `sleep`, `demo/sleep`, `node1`, `ztunnel/node1`, `outside`,
 * `fabric`, or by the name of a namespace such as `sleep.demo`.
 *
 * @throws LabError LAB_UNKNOWN_TARGET, with the nearest known name; also for a pod name that occurs
 * in several Kubernetes namespaces.
 */
export function resolveTarget(plan: Plan, text: string): Target {
  const found = findFixed(plan, text) ?? findPodTarget(plan, text);
  if (found) return found;
  const known = targetNames(plan);
  const like = nearest(text, known);
  throw new LabError('LAB_UNKNOWN_TARGET', `Cannot find "${text}" in lab "${plan.lab}": no pod or node is called so`, {
    hint: like === undefined ? `Known: ${known.join(', ')}` : `Did you mean "${like}"?`,
    details: { known },
  });
}

/**
 * The pod of a name `sleep` or `demo/sleep`.
 *
 * @throws LabError LAB_UNKNOWN_TARGET when it is no pod.
 */
export function resolvePod(plan: Plan, text: string): PodPlan {
  const target = resolveTarget(plan, text);
  if (target.kind === 'pod') return target.pod;
  throw new LabError('LAB_UNKNOWN_TARGET', `Cannot use "${text}": it is a ${target.kind}, a pod is wanted`);
}

/** What `resolveTarget` knows, in the spelling a person would use. */
export function targetNames(plan: Plan): string[] {
  return [
    ...plan.pods.map((pod) => (isUnique(plan, pod) ? pod.name : `${pod.namespace}/${pod.name}`)),
    ...plan.nodes.map((node) => node.name),
    ...plan.nodes.map((node) => `ztunnel/${node.name}`),
    'outside',
  ];
}

function findFixed(plan: Plan, text: string): Target | undefined {
  for (const { name, address, ztunnelNetns, ztunnelAddress } of plan.nodes) {
    if (text === name) return { kind: 'node', netns: name, address, node: name };
    if (text === `ztunnel/${name}` || text === ztunnelNetns) {
      return { kind: 'ztunnel', netns: ztunnelNetns, address: ztunnelAddress, node: name };
    }
  }
  const { netns, address } = plan.outside;
  if (text === netns) return { kind: 'outside', netns, address };
  const fabric = plan.netns.find((n) => n.role === 'fabric' && n.name === text);
  return fabric && { kind: 'fabric', netns: fabric.name, address: undefined };
}

function findPodTarget(plan: Plan, text: string): Target | undefined {
  const [head = '', tail] = text.split('/', 2);
  const matches = plan.pods.filter((pod) =>
    tail === undefined
      ? pod.name === head || pod.netns === head
      : pod.namespace === head && pod.name === tail,
  );
  const users = matches.filter((pod) => !pod.system);
  const [pod, other] = users.length > 0 ? users : matches;
  if (!pod) return undefined;
  if (other) {
    const spellings = matches.map((p) => `${p.namespace}/${p.name}`).join(', ');
    throw new LabError('LAB_UNKNOWN_TARGET', `Cannot choose "${text}": several pods are called so, one of ${spellings} is wanted`);
  }
  return { kind: 'pod', netns: pod.netns, address: pod.address, pod };
}

function isUnique(plan: Plan, pod: PodPlan): boolean {
  return plan.pods.filter((other) => other.name === pod.name).length === 1;
}
