import { option, target, type Family, type RuleOption } from '../../dataplane/redirect/rule.ts';
import { renderOption } from '../../dataplane/redirect/render.ts';
import {
  chainsOf,
  familyOfMatch,
  FORWARD_CHAIN,
  OUTPUT_CHAIN,
  type NodePolicies,
  type PolicyMatch,
  type PolicyRule,
} from './rule.ts';

/** Longer comments are refused (`XT_MAX_COMMENT_LEN`). */
const MAX_COMMENT = 240;

/** Built-in chains and what they jump to; behind the rules of the services. */
const JUMPS = [
  ['FORWARD', FORWARD_CHAIN],
  ['OUTPUT', OUTPUT_CHAIN],
] as const;

/**
 * Input of one `iptables-restore --noflush` (or `ip6tables-restore`) that leaves exactly these rules
 * of ours in the table filter, at once; rules of others stay. `present` are the chains and jumps of
 * ours that are there. Chains are the same in both families, for what leads to them is.
 */
export function renderIptables(
  policies: NodePolicies,
  present: PresentPolicies,
  family: Family = 'ipv4',
): string {
  const wanted = chainsOf(policies);
  const stale = present.chains.filter((chain) => !wanted.includes(chain));
  const unhook = JUMPS.filter(([, to]) => present.jumps.includes(to));
  const hook = JUMPS.filter(([, to]) => wanted.includes(to));
  const lines = [
    '*filter',
    // Naming a chain that is there empties it.
    ...[...wanted, ...stale].map((chain) => `:${chain} - [0:0]`),
    ...unhook.map(([from, to]) => `-D ${from} -j ${to}`),
    ...rulesOfFamily(policies, family).map(ruleText),
    ...hook.map(([from, to]) => `-A ${from} -j ${to}`),
    ...stale.map((chain) => `-X ${chain}`),
    'COMMIT',
    '',
  ];
  return lines.join('\n');
}

/** The rules that packets of one family can meet. */
export function rulesOfFamily({ rules }: NodePolicies, family: Family): readonly PolicyRule[] {
  return rules.filter(({ match }) => (familyOfMatch(match) ?? family) === family);
}

/** What of ours a namespace has. */
export interface PresentPolicies {
  readonly chains: readonly string[];
  /** Chains that built-in ones jump to. */
  readonly jumps: readonly string[];
}

export const NOTHING_PRESENT: PresentPolicies = { chains: [], jumps: [] };

function ruleText({ chain, match, verdict, label }: PolicyRule): string {
  const options: readonly RuleOption[] = [
    ...matchOptions(match),
    option('-m', 'comment'),
    option('--comment', label.slice(0, MAX_COMMENT)),
    option('-j', target(verdict.kind === 'jump' ? verdict.chain : verdict.kind.toUpperCase()).name),
  ];
  return ['-A', chain, ...options.map(renderOption)].join(' ');
}

function matchOptions(match: PolicyMatch): readonly RuleOption[] {
  const { established, inLink, outLink, source, destination, protocol, ports, icmpv6Type } = match;
  const state = [option('-m', 'conntrack'), option('--ctstate', 'RELATED,ESTABLISHED')];
  return [
    ...(source === undefined ? [] : [option('-s', source)]),
    ...(destination === undefined ? [] : [option('-d', destination)]),
    ...(inLink === undefined ? [] : [option('-i', inLink)]),
    ...(outLink === undefined ? [] : [option('-o', outLink)]),
    ...(protocol === undefined ? [] : [option('-p', protocol)]),
    ...(icmpv6Type === undefined
      ? []
      : [
          option('-p', 'ipv6-icmp'),
          option('-m', 'icmp6'),
          option('--icmpv6-type', String(icmpv6Type)),
        ]),
    ...(protocol === undefined || ports === undefined
      ? []
      : [option('-m', protocol), option('--dport', portText(ports))]),
    ...(established ? state : []),
  ];
}

function portText([first, last]: readonly [number, number]): string {
  return first === last ? String(first) : `${first}:${last}`;
}
