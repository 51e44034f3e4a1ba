/**
 * Marks, ports and names of the in-pod redirect: istio/istio `cni/pkg/config`, `cni/pkg/iptables`,
 * `cni/pkg/constants`, unchanged from 1.21 on.
 */

/** SO_MARK of every socket that ztunnel opens in a pod's netns (1337). */
export const INPOD_MARK = 0x539;
/** Connection mark, and routing mark, of ztunnel's connections to the app with the client's address. */
export const INPOD_TPROXY_MARK = 0x111;
/** Bits of a mark that Istio claims; the others are left to the primary CNI. */
export const INPOD_MASK = 0xfff;

export const INPOD_ROUTE_TABLE = 100;
export const INPOD_RULE_PRIORITY = 32764;

export const ZTUNNEL_OUTBOUND_PORT = 15001;
export const ZTUNNEL_INBOUND_PLAINTEXT_PORT = 15006;
export const ZTUNNEL_HBONE_PORT = 15008;
export const ZTUNNEL_DNS_PORT = 15053;

export const CHAIN_PREROUTING = 'ISTIO_PRERT';
export const CHAIN_OUTPUT = 'ISTIO_OUTPUT';
export const CHAIN_POSTROUTING = 'ISTIO_POSTRT';
/** What a chain of ours begins with, and nobody else's may: in-pod eras, and era geneve. */
export const CHAIN_PREFIX = 'ISTIO_';
export const NODE_CHAIN_PREFIX = 'ztunnel-';

/** Whether a chain is one that a redirect of ours, of whatever era, has made. */
export function isOurChain(name: string): boolean {
  return name.startsWith(CHAIN_PREFIX) || name.startsWith(NODE_CHAIN_PREFIX);
}

/** Source address that probes of the node wear (env HOST_PROBE_SNAT_IP, HOST_PROBE_SNAT_IPV6). */
export const HOST_PROBE_IPV4 = '169.254.7.127';
export const HOST_PROBE_IPV6 = 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff';
