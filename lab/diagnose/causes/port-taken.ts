import type { Evidence } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { foreignListeners, nameOf, nodeOf, wishedPods } from '../pod-facts.ts';

/** Pods that ztunnel cannot serve because one of its ports is somebody else's. */
export function findPortTaken(evidence: Evidence): readonly Finding[] {
  return wishedPods(evidence).flatMap((pod): readonly Finding[] => {
    const node = nodeOf(evidence, pod);
    const [taken] = foreignListeners(pod, node);
    if (taken === undefined || node.ztunnel.pid === undefined) return [];
    const at = nameOf(pod);
    const { port, program = 'a program', pid } = taken;
    const { ztunnel, agent } = node;
    const error = agent.status?.pods.find(({ uid }) => uid === pod.pod.uid)?.error?.error;
    const state = ztunnel.workloads?.[pod.pod.uid];
    return [
      {
        cause: 'port-taken',
        at,
        text: `Port ${port}, which is ztunnel's in every pod of the mesh, is held by ${program}`,
        effect:
          'The pod cannot be enrolled, and its connections are refused: the rules are in already.',
        evidence: [
          `ss        ${taken.line}`,
          `/proc     ztunnel is pid ${ztunnel.pid}, the socket is of ${program}, pid ${pid ?? '?'}`,
          ...(state === undefined ? [] : [`config    ztunnel has the pod as ${state}`]),
          ...(error === undefined ? [] : [`agent     ${error}`]),
        ],
        mend:
          `Move ${program} to another port, then enrol the pod anew: npm run lab -- enrol ${at}. ` +
          '15001, 15006, 15008 and 15053 are not for apps.',
      },
    ];
  });
}
