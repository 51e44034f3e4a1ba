/**
 * Rules in the language of nftables. All tables of ours are of family inet: one table carries IPv4
 * and IPv6 (istio/istio `cni/pkg/nftables`).
 */

/** Where a base chain hangs; `type route` in hook output routes again after a mark was changed. */
export interface NftHook {
  readonly type: 'nat' | 'filter' | 'route';
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
  readonly priority: number;
}

export interface NftChain {
  readonly name: string;
  /** Absent for a chain that is only jumped to. */
  readonly base?: NftHook;
}

/** One rule of ours, with the reason for it. */
export interface NftRule {
  readonly chain: string;
  /** Matches, counter and verdict, each as nft reads it: `ip saddr 169.254.7.127`. */
  readonly statements: readonly string[];
  /** One sentence for the reader of `rules`: what would break without it. */
  readonly why: string;
}

/** A set of addresses that lives in the table whose rules match it; there are no global ones. */
export interface NftSet {
  readonly name: string;
  readonly type: 'ipv4_addr' | 'ipv6_addr';
  readonly comment: string;
}

export interface NftTable {
  readonly name: string;
  readonly sets: readonly NftSet[];
  readonly chains: readonly NftChain[];
  /** In the order of loading; within a chain that is the order in which packets meet them. */
  readonly rules: readonly NftRule[];
}

export const NFT_FAMILY = 'inet';

/** What every table of the ambient redirect begins with, and nobody else's may. */
export const NFT_TABLE_PREFIX = 'istio-ambient-';
export const NFT_NAT_TABLE = 'istio-ambient-nat';
export const NFT_MANGLE_TABLE = 'istio-ambient-mangle';
export const NFT_RAW_TABLE = 'istio-ambient-raw';

/** Chains of ours that the base chains (`prerouting`, `output`) jump to. */
export const NFT_PREROUTING = 'istio-prerouting';
export const NFT_OUTPUT = 'istio-output';
