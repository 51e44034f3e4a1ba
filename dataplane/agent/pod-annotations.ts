import type { Era } from '../redirect/era.ts';
import type { PodRulesOptions } from '../redirect/pod-rules.ts';

/** Annotations that change a pod's rules (Istio 1.24 and later; constants of `cni/pkg/constants` and api/annotation). */
export const DNS_CAPTURE_ANNOTATION = 'ambient.istio.io/dns-capture';
export const BYPASS_INBOUND_ANNOTATION = 'ambient.istio.io/bypass-inbound-capture';
export const VIRTUAL_INTERFACES_ANNOTATION = 'istio.io/reroute-virtual-interfaces';

/**
 * What a pod's annotations say about its rules. Values that are no booleans count as absent, as
 * upstream; in era inpod-tproxy none of these annotations existed.
 */
export function rulesOfAnnotations(
  annotations: Readonly<Record<string, string>>,
  defaults: { readonly era: Era; readonly dnsCapture: boolean },
): Pick<PodRulesOptions, 'dnsCapture' | 'bypassInbound' | 'virtualInterfaces'> {
  if (defaults.era === 'inpod-tproxy') return { dnsCapture: defaults.dnsCapture };
  const interfaces = (annotations[VIRTUAL_INTERFACES_ANNOTATION] ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return {
    dnsCapture: parseBool(annotations[DNS_CAPTURE_ANNOTATION]) ?? defaults.dnsCapture,
    bypassInbound: parseBool(annotations[BYPASS_INBOUND_ANNOTATION]) ?? false,
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
