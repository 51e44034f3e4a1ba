import { hasIpv6 } from '../../plan/families.ts';
import type { Evidence, PodEvidence } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { isIpv6Off, nameOf } from '../pod-facts.ts';

/** Pods without IPv6 in a lab that has it. */
export function findIpv6Off(evidence: Evidence): readonly Finding[] {
  if (!hasIpv6(evidence.plan)) return [];
  return evidence.pods.filter(isIpv6Off).map((pod) => {
    const off = Object.entries(pod.settings).filter(
      ([key, value]) => key.endsWith('disable_ipv6') && value === '1',
    );
    return {
      cause: 'ipv6-off',
      at: nameOf(pod),
      text: 'IPv6 is switched off in the pod, in a cluster that has it',
      effect: 'Requests by IPv6 fail, at once from the pod, by timeout to it; IPv4 works.',
      evidence: [
        ...off.map(([key, value]) => `sysctl    ${key} = ${value}`),
        ...lostIn(evidence, pod).map((line) => `kernel    ${line}`),
      ],
      mend:
        'Take disable_ipv6 out of the image, its init containers or the node, and restart the pod: ' +
        'its addresses do not come back by themselves.',
    };
  });
}

/** Addresses and routes of IPv6 that the pod had when it was made. */
export function lostIn({ drift }: Evidence, { pod }: PodEvidence): readonly string[] {
  const lines = drift.filter((line) => line.startsWith(`${pod.netns}: `));
  return lines.filter((line) =>
    /ipv6|[0-9a-f]*:[0-9a-f:]*:/.test(line.slice(pod.netns.length + 2)),
  );
}
