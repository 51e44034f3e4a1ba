import type { Evidence } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { isIpv6Off, someOf } from '../pod-facts.ts';
import { lostIn } from './ipv6-off.ts';
import { mtuDrift } from './mtu-too-small.ts';

/** What differs from how the lab was built and belongs to no cause that has a name. */
export function findOtherThanPlanned(
  evidence: Evidence,
  others: readonly Finding[],
): readonly Finding[] {
  const told = new Set([
    ...evidence.pods.filter(isIpv6Off).flatMap((pod) => lostIn(evidence, pod)),
    ...(others.some(({ cause }) => cause === 'mtu-too-small') ? mtuDrift(evidence) : []),
    ...(others.some(({ cause }) => cause === 'rp-filter-strict')
      ? evidence.drift.filter((line) => line.includes('rp_filter'))
      : []),
  ]);
  const left = evidence.drift.filter((line) => !told.has(line));
  const places = [...new Set(left.map((line) => line.slice(0, line.indexOf(':'))))];
  return places.map((at) => ({
    cause: 'other-than-planned',
    at,
    text: 'The kernel has other than what the lab was built with',
    effect: 'That depends on what it is.',
    evidence: someOf(
      left.filter((line) => line.startsWith(`${at}:`)).map((line) => `kernel    ${line}`),
      8,
    ),
    mend: 'Put it back as it was, or build the lab anew.',
  }));
}
