import { agentOf, enrolmentOf } from './agent-of.ts';
import { enrolledPod, needsRulesInPods } from './in-pod.ts';
import type { PodFault } from './fault.ts';

const TIMEOUT_MS = 15_000;

/** Half-enrolled: the rules stand in the pod, but ztunnel was never told, or told that it is gone. */
export const ztunnelNotTold: PodFault = {
  name: 'ztunnel-not-told',
  kind: 'pod',
  title: 'Half-enrolled: rules in the pod, but ztunnel does not serve it',
  seen:
    'Every connection of the pod is refused at once (curl: exit 7), in and out: the rules send it ' +
    'to ports where nobody listens. ztunnel logs nothing.',
  field:
    'The agent lost the pod, or took its end for true: rules without sockets, istio/istio#57285.',
  refusal: needsRulesInPods,
  suits: enrolledPod,
  prepare: async () => ({}),
  async apply({ lab, at: { pod } }) {
    // A deleted pod's rules die with its namespace, so the agent leaves them. This one lives.
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    await agentOf(lab, pod.node).leave({ uid: pod.uid, deleted: true }, { signal });
  },
  async mend({ lab, at: { pod } }) {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    await agentOf(lab, pod.node).enrol(enrolmentOf(pod), { signal });
  },
};
