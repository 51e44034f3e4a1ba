import { DEFAULT_TPROXY_RELEASE, type Era, type TproxyRelease } from '../redirect/era.ts';
import type { PodRulesOptions } from '../redirect/pod-rules.ts';

/**
 * Annotations that change a pod's rules (`cni/pkg/constants` and istio/api `annotation`): ingress
 * pods since 1.24, the two others since 1.25 (change notes of these releases).
 */
export const DNS_CAPTURE_ANNOTATION = 'ambient.istio.io/dns-capture';
export const BYPASS_INBOUND_ANNOTATION = 'ambient.istio.io/bypass-inbound-capture';
export const VIRTUAL_INTERFACES_ANNOTATION = 'istio.io/reroute-virtual-interfaces';

/**
 * What a pod's annotations say about its rules. Values that are no booleans count as absent, as
 * upstream. In era inpod-tproxy, which ended with 1.24, an agent reads one of them or none.
 */
export function rulesOfAnnotations(
  annotations: Readonly<Record<string, string>>,
  defaults: {
    readonly era: Era;
    readonly dnsCapture: boolean;
    readonly tproxyRelease?: TproxyRelease | undefined;
  },
): Pick<PodRulesOptions, 'dnsCapture' | 'bypassInbound' | 'virtualInterfaces' | 'tproxyRelease'> {
  const { era, dnsCapture, tproxyRelease = DEFAULT_TPROXY_RELEASE } = defaults;
  const bypassInbound = parseBool(annotations[BYPASS_INBOUND_ANNOTATION]) ?? false;
  if (era === 'inpod-tproxy') {
    const isKnown = tproxyRelease === '1.24';
    return { dnsCapture, tproxyRelease, bypassInbound: isKnown && bypassInbound };
  }
  const interfaces = (annotations[VIRTUAL_INTERFACES_ANNOTATION] ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return {
    dnsCapture: parseBool(annotations[DNS_CAPTURE_ANNOTATION]) ?? dnsCapture,
    bypassInbound,
    virtualInterfaces: interfaces,
  };
}

/** The spellings of Go's strconv.ParseBool. */
function parseBool(text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined;
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  return undefined;
}
