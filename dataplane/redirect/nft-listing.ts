import type { Counters } from './saved.ts';

/** Everything that one run of `nft list ruleset` says of tables, chains, rules and sets. */
export interface NftListing {
  readonly tables: readonly NftListedTable[];
}

export interface NftListedTable {
  /** `ip`, `ip6`, `inet`, `arp`, `bridge` or `netdev`. */
  readonly family: string;
  readonly name: string;
  readonly line: number;
  readonly chains: readonly NftListedChain[];
  readonly sets: readonly NftListedSet[];
}

export interface NftListedChain {
  readonly name: string;
  /** Present for chains that a hook runs. */
  readonly base?: NftListedBase;
  readonly line: number;
  /** In the order in which packets meet them. */
  readonly rules: readonly NftListedRule[];
}

export interface NftListedBase {
  readonly type: string;
  readonly hook: string;
  readonly priority: number;
  readonly policy: string;
}

export interface NftListedRule {
  /** As nft prints it, counters included. */
  readonly text: string;
  /** The same without what its counter has counted: two rules that do the same have one text. */
  readonly normal: string;
  readonly counters?: Counters;
  readonly line: number;
}

/** A set or map; its elements are not kept. */
export interface NftListedSet {
  readonly name: string;
  readonly kind: 'set' | 'map';
  /** `type ipv4_addr`, or `typeof …`. */
  readonly type: string;
  readonly line: number;
}

/** Priorities that nft calls by name (nftables `src/rule.c`, families ip, ip6, inet and netdev). */
export const PRIORITY_NAMES: ReadonlyMap<string, number> = new Map([
  ['raw', -300],
  ['mangle', -150],
  ['dstnat', -100],
  ['filter', 0],
  ['security', 50],
  ['srcnat', 100],
]);
