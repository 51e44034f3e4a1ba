import { isIP } from 'node:net';
import { RedirectOptionsError } from './errors.ts';

/** What istio-init is told of a pod; what is absent is as the injector's template has it. */
export interface SidecarOptions {
  /** Annotation sidecar.istio.io/interceptionMode. */
  readonly isTproxy: boolean;
  /** ISTIO_META_DNS_CAPTURE: the agent in the sidecar answers DNS. */
  readonly dnsCapture: boolean;
  /** Name servers whose questions are captured, those of both families; all when absent. */
  readonly dnsServers?: readonly string[];
  /** User and group of the proxy; 1337 when absent. */
  readonly uid?: number;
  readonly gid?: number;
  /** Ports that are captured inbound; `*`, all, when absent. */
  readonly includeInboundPorts?: '*' | readonly number[];
  /** Ports that are not, where all are; the sidecar's own when absent. */
  readonly excludeInboundPorts?: readonly number[];
  /** Ports that are captured outbound whatever the address; none when absent. */
  readonly includeOutboundPorts?: readonly number[];
  /** Ports that are never captured outbound, TCP and UDP; 15020 when absent. */
  readonly excludeOutboundPorts?: readonly number[];
  /** Ranges that are captured outbound, of both families; `*`, all, when absent. */
  readonly includeOutboundRanges?: '*' | readonly string[];
  /** Ranges that are not; none when absent. */
  readonly excludeOutboundRanges?: readonly string[];
  /** Interfaces whose traffic is not captured at all; none when absent. */
  readonly excludeInterfaces?: readonly string[];
  /** Interfaces of machines in the pod: what comes in there counts as outbound; none when absent. */
  readonly virtualInterfaces?: readonly string[];
  /** INVALID_DROP: what conntrack calls invalid is dropped; false when absent. */
  readonly dropInvalid?: boolean;
}

/** Inbound ports of the sidecar itself, never captured (`-d 15090,15021,15020`). */
export const OWN_INBOUND_PORTS = [15020, 15021, 15090] as const;
/** The same outbound: a scrape of merged metrics. */
export const OWN_OUTBOUND_PORTS = [15020] as const;

/**
 * Values go into text that iptables-restore reads: whoever writes an annotation must not write rules.
 * @throws {RedirectOptionsError} naming the option and the value
 */
export function checkSidecarOptions(options: SidecarOptions): void {
  const { includeOutboundRanges: included = '*', excludeOutboundRanges: excluded = [] } = options;
  for (const range of [...(included === '*' ? [] : included), ...excluded]) {
    if (!isRange(range)) {
      throw new RedirectOptionsError('IP range', range, 'an address with a prefix is wished');
    }
  }
  for (const server of options.dnsServers ?? []) {
    if (isIP(server) === 0) {
      throw new RedirectOptionsError('name server', server, 'an IP address is wished');
    }
  }
  const names = [...(options.excludeInterfaces ?? []), ...(options.virtualInterfaces ?? [])];
  for (const name of names) {
    if (!/^[\w.:@-]{1,15}$/.test(name) || name.startsWith('-')) {
      throw new RedirectOptionsError('interface', name, 'no name of a network interface');
    }
  }
}

function isRange(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || prefix === undefined || rest.length > 0) return false;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128);
}
