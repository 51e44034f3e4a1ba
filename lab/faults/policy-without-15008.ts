import type { NetworkPolicy } from '../../topologies/network-policy.ts';
import type { PodPlan } from '../plan/plan.ts';
import { renewTunnels } from '../run/renew-tunnels.ts';
import { LabError } from '../world/errors.ts';
import { enrolledPod } from './in-pod.ts';
import type { PodFault } from './fault.ts';

/** A NetworkPolicy that was written for the app's port, as if nothing else came in. */
export const policyWithout15008: PodFault = {
  name: 'policy-without-15008',
  kind: 'pod',
  title: "A NetworkPolicy admits the app's port and not 15008, which the mesh comes in by",
  seen:
    'Pods of the mesh wait ten seconds and are cut off (curl: exit 52 or 56, 28 with less ' +
    'patience), pods outside get through. ztunnel of the client logs "connection timed out, maybe a ' +
    'NetworkPolicy is blocking HBONE port 15008". Tunnels that are open go on.',
  field:
    '"The top feedback from users running into issues": istio/ztunnel#1229, istio/istio#52742.',
  refusal: ({ era }) =>
    era === 'geneve'
      ? 'what arrives for a pod is taken to ztunnel before the policies of its link see port 15008'
      : undefined,
  suits: (at, status, plan) =>
    enrolledPod(at, status, plan) &&
    portOf(at.pod) !== undefined &&
    Object.keys(at.pod.labels).length > 0,
  prepare: async ({ at: { pod } }) => ({ policy: policyFor(pod) }),
  async apply({ lab }, { policy }) {
    await lab.changePolicies({ kind: 'apply', policy: policy as NetworkPolicy });
    // Else the pool hides it until a tunnel has been idle for long enough.
    await renewTunnels(lab);
  },
  async mend({ lab }, { policy }) {
    const { name, namespace = 'default' } = (policy as NetworkPolicy).metadata;
    try {
      await lab.changePolicies({ kind: 'delete', namespace, name });
    } catch (error) {
      if (!(error instanceof LabError) || error.code !== 'LAB_UNKNOWN_POLICY') throw error;
    }
  },
};

function portOf({ apps }: PodPlan): number | undefined {
  const app = apps.find(({ kind }) => kind === 'http' || kind === 'tcp-echo');
  return app === undefined || app.kind === 'command' ? undefined : app.port;
}

function policyFor(pod: PodPlan): NetworkPolicy {
  const port = portOf(pod) ?? 0;
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: `${pod.name}-only-port-${port}`, namespace: pod.namespace },
    spec: {
      podSelector: { matchLabels: pod.labels },
      policyTypes: ['Ingress'],
      ingress: [{ ports: [{ protocol: 'TCP', port }] }],
    },
  };
}
