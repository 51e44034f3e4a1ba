/**
 * Marks, tables, names and ports of the node-level redirect: istio/istio
 * `cni/pkg/ambient/constants/constants.go` at 1.18 to 1.20. Bits of marks count with the mask of the
 * same value, so one packet may carry several meanings.
 */

/** Outbound TCP of an enrolled pod: table 101. */
export const OUTBOUND_MARK = 0x100;
/** Leave alone: table main. */
export const SKIP_MARK = 0x200;
/** Leave alone, and remember it on the connection (0x200 | 0x020). */
export const CONN_SKIP_MARK = 0x220;
/** ztunnel's packet with a borrowed source; leave alone and remember (0x200 | 0x010). */
export const PROXY_MARK = 0x210;
/** Answer to such a packet: table 102. */
export const PROXY_RETURN_MARK = 0x040;
/** In ztunnel's pod: a packet that TPROXY gave to a socket. */
export const TPROXY_MARK = 0x400;
/** In ztunnel's pod: a packet to an address that ztunnel borrowed. */
export const ORIGINAL_SOURCE_MARK = 0x4d3;
/** Bits of the two above that count. */
export const ZTUNNEL_MARK_MASK = 0xfff;

export const INBOUND_TABLE = 100;
export const OUTBOUND_TABLE = 101;
export const PROXY_TABLE = 102;
export const GENEVE_TABLES = [INBOUND_TABLE, OUTBOUND_TABLE, PROXY_TABLE] as const;

/** Priorities of the node's policy rules, and of ztunnel's (20001, 20002: of the preview of 2022). */
export const NODE_PRIORITIES = [100, 101, 102, 103] as const;
export const TPROXY_PRIORITY = 20000;
export const ORIGINAL_SOURCE_PRIORITY = 20003;
export const ZTUNNEL_PRIORITIES = [
  TPROXY_PRIORITY,
  20001,
  20002,
  ORIGINAL_SOURCE_PRIORITY,
] as const;
/** Priority of the kernel's own rule for table main. */
export const MAIN_PRIORITY = 32766;

export const POD_SET = 'ztunnel-pods-ips';

/** UDP port of Geneve (RFC 8926 §3.3), taken unless somebody has it. */
export const GENEVE_PORT = 6081;

/** The two tunnels between a node and its ztunnel; the same numbers on every node. */
export const INBOUND_TUNNEL = {
  node: { name: 'istioin', address: '192.168.126.1' },
  ztunnel: { name: 'pistioin', address: '192.168.126.2' },
  vni: 1000,
} as const;
export const OUTBOUND_TUNNEL = {
  node: { name: 'istioout', address: '192.168.127.1' },
  ztunnel: { name: 'pistioout', address: '192.168.127.2' },
  vni: 1001,
} as const;
export const TUNNEL_PREFIX = 30;

/** Istio releases whose node-level rules differ. */
export const GENEVE_RELEASES = ['1.18', '1.19', '1.20'] as const;
export type GeneveRelease = (typeof GENEVE_RELEASES)[number];
export const DEFAULT_GENEVE_RELEASE: GeneveRelease = '1.20';

/** Whether pods keep their redirect when their node has no ztunnel: 1.18 takes it away. */
export function failsClosed(release: GeneveRelease): boolean {
  return release !== '1.18';
}
