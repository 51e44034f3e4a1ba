/** What a packet must be to meet a rule; absent fields take all. */
export interface PolicyMatch {
  /** Of a connection that was let through before, or an error that belongs to one. */
  readonly established?: boolean;
  readonly inLink?: string;
  readonly outLink?: string;
  /** CIDRs. */
  readonly source?: string;
  readonly destination?: string;
  readonly protocol?: 'tcp' | 'udp';
  /** Type of an ICMPv6 message. */
  readonly icmpv6Type?: number;
  /** Destination ports, both included. */
  readonly ports?: readonly [first: number, last: number];
}

export type PolicyVerdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'return' }
  | { readonly kind: 'jump'; readonly chain: string };

/** One rule of a node's netns that NetworkPolicy objects stand for, whatever program installs it. */
export interface PolicyRule {
  readonly chain: string;
  readonly match: PolicyMatch;
  readonly verdict: PolicyVerdict;
  /** Whose rule it is, for the comment that the kernel keeps: `demo/web ingress 1`. */
  readonly label: string;
  /** One sentence for people: what it is for. */
  readonly why: string;
}

/** All rules of one node in the order of their chains; empty when no pod of it is isolated. */
export interface NodePolicies {
  readonly node: string;
  readonly rules: readonly PolicyRule[];
}

/** Chain that what is forwarded meets, and the one for what the node itself sends. */
export const FORWARD_CHAIN = 'NP-FORWARD';
export const OUTPUT_CHAIN = 'NP-OUTPUT';
/** Chain for what no policy of its sender keeps from leaving. */
export const INGRESS_CHAIN = 'NP-INGRESS';

/** What the names of all our chains begin with. */
export const POLICY_CHAIN_PREFIX = 'NP-';

/** The one family that a match can meet; `undefined` for both. */
export function familyOfMatch({
  source,
  destination,
  icmpv6Type,
}: PolicyMatch): 'ipv4' | 'ipv6' | undefined {
  if (icmpv6Type !== undefined) return 'ipv6';
  const address = source ?? destination;
  if (address === undefined) return undefined;
  return address.includes(':') ? 'ipv6' : 'ipv4';
}

/** Chains of a node in the order in which they first have a rule. */
export function chainsOf({ rules }: NodePolicies): readonly string[] {
  return [...new Set(rules.map(({ chain }) => chain))];
}
