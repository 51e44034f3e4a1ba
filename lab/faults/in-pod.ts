import type { Plan } from '../plan/plan.ts';
import type { FaultPlace, PodFault } from './fault.ts';

/** Why there is no such fault where all rules stand on the node. */
export function needsRulesInPods({ era }: Plan): string | undefined {
  if (era !== 'geneve') return undefined;
  return 'it has no rules and no sockets in pods, all redirection is on the node';
}

/** An enrolled pod of the user's, with an app that others reach if there is one. */
export const enrolledPod: PodFault['suits'] = ({ pod }, { pods }) =>
  !pod.system && pods.some(({ uid, enrolled }) => uid === pod.uid && enrolled);

/** The place of a pod, by the name that journals and messages have. */
export function podPlace(pod: Extract<FaultPlace, { kind: 'pod' }>['pod']) {
  return { kind: 'pod', name: `${pod.namespace}/${pod.name}`, pod } as const;
}
