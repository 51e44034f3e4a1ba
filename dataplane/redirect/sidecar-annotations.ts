import { RedirectOptionsError } from './errors.ts';
import {
  checkSidecarOptions,
  OWN_INBOUND_PORTS,
  OWN_OUTBOUND_PORTS,
  type SidecarOptions,
} from './sidecar-options.ts';

const MODE = 'sidecar.istio.io/interceptionMode';
const TRAFFIC = 'traffic.sidecar.istio.io/';

/**
 * What annotations of a pod ask of istio-init, as the injector's template passes them on; undefined
 * when the mode is NONE: nothing is redirected.
 * @throws {RedirectOptionsError} naming annotation and value
 */
export function sidecarOptionsOf(
  annotations: Readonly<Record<string, string>>,
  dnsCapture: boolean,
): SidecarOptions | undefined {
  const mode = annotations[MODE] ?? 'REDIRECT';
  if (!['REDIRECT', 'TPROXY', 'NONE'].includes(mode)) {
    throw new RedirectOptionsError(MODE, mode, 'REDIRECT, TPROXY or NONE is wished');
  }
  if (mode === 'NONE') return undefined;
  const list = (name: string): readonly string[] | undefined => listOf(annotations[TRAFFIC + name]);
  const ports = (name: string): readonly number[] | undefined =>
    list(name)?.map((text) => portOf(TRAFFIC + name, text));
  const all = (name: string): boolean => annotations[TRAFFIC + name]?.trim() === '*';
  const inbound = all('includeInboundPorts') ? undefined : ports('includeInboundPorts');
  const ranges = all('includeOutboundIPRanges') ? undefined : list('includeOutboundIPRanges');
  const without = {
    inbound: ports('excludeInboundPorts'),
    outbound: ports('excludeOutboundPorts'),
    ranges: list('excludeOutboundIPRanges'),
  };
  const outbound = ports('includeOutboundPorts');
  const excluded = list('excludeInterfaces');
  const machines =
    listOf(annotations['istio.io/reroute-virtual-interfaces']) ?? list('kubevirtInterfaces');
  const options: SidecarOptions = {
    isTproxy: mode === 'TPROXY',
    dnsCapture,
    ...(inbound && { includeInboundPorts: inbound }),
    ...(without.inbound && { excludeInboundPorts: [...OWN_INBOUND_PORTS, ...without.inbound] }),
    ...(outbound && { includeOutboundPorts: outbound }),
    ...(without.outbound && { excludeOutboundPorts: [...OWN_OUTBOUND_PORTS, ...without.outbound] }),
    ...(ranges && { includeOutboundRanges: ranges }),
    ...(without.ranges && { excludeOutboundRanges: without.ranges }),
    ...(excluded && { excludeInterfaces: excluded }),
    ...(machines && { virtualInterfaces: machines }),
  };
  checkSidecarOptions(options);
  return options;
}

/** Commas between; an annotation that says nothing is an empty list. */
function listOf(text: string | undefined): readonly string[] | undefined {
  return text?.split(',').flatMap((word) => (word.trim() === '' ? [] : [word.trim()]));
}

function portOf(name: string, text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65535) return port;
  throw new RedirectOptionsError(name, text, 'ports from 1 to 65535 are wished');
}
