import type { Era } from './era.ts';
import type { NftTable } from './nft-rule.ts';

/** Tables in the order in which a hook runs them (priorities -300, -150, -100 and 0). */
export const TABLES = ['raw', 'mangle', 'nat', 'filter'] as const;

export type Table = (typeof TABLES)[number];

export type Family = 'ipv4' | 'ipv6';

/**
 * One option of a rule as both command line and `iptables-save` write it: `! --mark 0x539/0xfff` is
 * `{ flag: '--mark', negated: true, values: ['0x539/0xfff'] }`, and `-m mark` is an option like others.
 */
export interface RuleOption {
  readonly flag: string;
  readonly negated?: boolean;
  readonly values: readonly string[];
  /** Which of the values stood in quotes; kept so that printing gives back the text that was read. */
  readonly quoted?: readonly number[];
}

/** What a matching packet meets: a built-in verdict, an extension with options, or a chain. */
export interface Target {
  readonly name: string;
  readonly options: readonly RuleOption[];
}

/** One rule of ours, with the reason for it. */
export interface RedirectRule {
  readonly table: Table;
  readonly chain: string;
  /** `first` is `-I <chain> 1`: before whatever others put there. */
  readonly position: 'append' | 'first';
  readonly match: readonly RuleOption[];
  readonly target: Target;
  /** One sentence for the reader of `rules`: what would break without it. */
  readonly why: string;
}

/** Rules of one address family, in the order of Istio's restore files: tables, then jumps, then rules. */
export interface FamilyRules {
  readonly family: Family;
  readonly rules: readonly RedirectRule[];
  /** Built-in chains of which every rule is ours: what else stands there is taken out. */
  readonly ownedChains?: readonly { readonly table: Table; readonly chain: string }[];
}

/** A rule of the routing policy database: `ip rule add fwmark <mark>/<mask> pref <n> lookup <n>`. */
export interface FwmarkRule {
  readonly kind: 'fwmark-rule';
  readonly family: Family;
  readonly mark: number;
  readonly mask: number;
  readonly priority: number;
  readonly table: number;
  readonly why: string;
}

/** A route that delivers locally whatever the destination: `ip route add local <to> dev <link> table <n>`. */
export interface LocalRoute {
  readonly kind: 'local-route';
  readonly family: Family;
  readonly to: string;
  readonly link: string;
  readonly table: number;
  readonly why: string;
}

/** A rule that goes on at another: `ip rule add fwmark <mark>/<mask> pref <n> goto <n>`. */
export interface GotoRule {
  readonly kind: 'goto-rule';
  readonly family: Family;
  readonly mark: number;
  readonly mask: number;
  readonly priority: number;
  readonly target: number;
  readonly why: string;
}

/** A rule for every packet: `ip rule add pref <n> lookup <n>`. */
export interface TableRule {
  readonly kind: 'table-rule';
  readonly family: Family;
  readonly priority: number;
  readonly table: number;
  readonly why: string;
}

/** A way to somewhere: `ip route add <to> [via <via>] dev <link> [onlink] [src <source>] table <n>`. */
export interface ForwardRoute {
  readonly kind: 'route';
  readonly family: Family;
  /** CIDR. */
  readonly to: string;
  readonly via?: string;
  readonly link: string;
  /** The gateway counts as being on the link though no route says so. */
  readonly isOnlink?: boolean;
  readonly source?: string;
  readonly table: number;
  readonly why: string;
}

export type RoutingEntry = FwmarkRule | LocalRoute | GotoRule | TableRule | ForwardRoute;

/** A kernel setting; the key has slashes, because names of links have dots. */
export interface SysctlEntry {
  /** Below /proc/sys: `net/ipv4/conf/all/rp_filter`. */
  readonly key: string;
  readonly value: string;
  readonly why: string;
}

/** A point-to-point Geneve device. */
export interface TunnelLink {
  readonly name: string;
  readonly vni: number;
  /** Address of the other end. */
  readonly remote: string;
  /** UDP port of both ends. */
  readonly port: number;
  /** Its own address with prefix length. */
  readonly address: string;
  /** Link that the remote is reached by. */
  readonly underlay: string;
  readonly why: string;
}

/** A set of addresses on the node that a rule of ours matches. */
export interface AddressSet {
  readonly name: string;
  readonly family: Family;
  /** The nft table that it lives in; absent: it is an ipset. */
  readonly table?: string;
  readonly why: string;
}

/** All that one network namespace gets, as data. */
export interface RuleSet {
  readonly era: Era;
  /** Rules for iptables and ip6tables; none where nftables does the work. */
  readonly families: readonly FamilyRules[];
  /** Tables of nftables for both families; absent where iptables does the work. */
  readonly nft?: readonly NftTable[];
  readonly routing: readonly RoutingEntry[];
  readonly sets: readonly AddressSet[];
  readonly links?: readonly TunnelLink[];
  readonly sysctls?: readonly SysctlEntry[];
  /** Routing tables and priorities of policy rules in which everything is ours. */
  readonly ownedTables?: readonly number[];
  readonly ownedPriorities?: readonly number[];
}

/** An option without negation. */
export function option(flag: string, ...values: readonly string[]): RuleOption {
  return { flag, values };
}

/** The same option, matching what it did not match. */
export function not(positive: RuleOption): RuleOption {
  return { ...positive, negated: true };
}

/** A target with its options. */
export function target(name: string, ...options: readonly RuleOption[]): Target {
  return { name, options };
}

/** A value and the bits of it that count, in the spelling of iptables: `0x539/0xfff`. */
export function markText(mark: number, mask: number): string {
  return `0x${mark.toString(16)}/0x${mask.toString(16)}`;
}
