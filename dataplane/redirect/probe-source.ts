import { HOST_PROBE_IPV4, HOST_PROBE_IPV6 } from './constants.ts';
import type { Family } from './rule.ts';

/** Addresses that probes wear instead of Istio's own; see {@link HOST_PROBE_IPV4}. */
export interface ProbeSources {
  readonly snatIpv4?: string;
  readonly snatIpv6?: string;
}

/** The source address that probes of one family get on their way to a pod. */
export function probeSource(sources: ProbeSources, family: Family): string {
  return family === 'ipv4'
    ? (sources.snatIpv4 ?? HOST_PROBE_IPV4)
    : (sources.snatIpv6 ?? HOST_PROBE_IPV6);
}
