import {
  chainsOf,
  FORWARD_CHAIN,
  OUTPUT_CHAIN,
  type NodePolicies,
  type PolicyMatch,
  type PolicyRule,
} from './rule.ts';

/** Table of the policies on a node; nobody else writes to it. */
export const POLICY_TABLE = 'network-policy';

/** Longer comments are refused (`NFTNL_UDATA_COMMENT_MAXLEN`). */
const MAX_COMMENT = 120;

/** Hooks of the base chains: where iptables has FORWARD and OUTPUT of its table filter. */
const HOOKS: Readonly<Record<string, string>> = {
  [FORWARD_CHAIN]: 'type filter hook forward priority filter; policy accept;',
  [OUTPUT_CHAIN]: 'type filter hook output priority filter; policy accept;',
};

/**
 * Input of one `nft -f` that leaves exactly these rules in the table: one transaction, in which no
 * packet meets half of them. Without rules the table is gone afterwards.
 */
export function renderNft(policies: NodePolicies): string {
  // Making it first lets the deletion succeed where it was not there.
  const fresh = [`table inet ${POLICY_TABLE}`, `delete table inet ${POLICY_TABLE}`];
  if (policies.rules.length === 0) return `${fresh.join('\n')}\n`;
  const lines = chainsOf(policies).flatMap((chain) => [
    `  chain ${chain} {`,
    ...(HOOKS[chain] === undefined ? [] : [`    ${HOOKS[chain]}`]),
    ...policies.rules.filter((rule) => rule.chain === chain).map((rule) => `    ${ruleText(rule)}`),
    '  }',
  ]);
  return [...fresh, `table inet ${POLICY_TABLE} {`, ...lines, '}', ''].join('\n');
}

function ruleText({ match, verdict, label }: PolicyRule): string {
  const to = verdict.kind === 'jump' ? `jump ${verdict.chain}` : verdict.kind;
  const comment = `comment "${label.slice(0, MAX_COMMENT)}"`;
  return [...matchText(match), 'counter', to, comment].join(' ');
}

function matchText(match: PolicyMatch): string[] {
  const { established, inLink, outLink, source, destination, protocol, ports, icmpv6Type } = match;
  return [
    ...(established ? ['ct state established,related'] : []),
    ...(inLink === undefined ? [] : [`iifname "${inLink}"`]),
    ...(outLink === undefined ? [] : [`oifname "${outLink}"`]),
    ...(source === undefined ? [] : [`${ip(source)} saddr ${source}`]),
    ...(destination === undefined ? [] : [`${ip(destination)} daddr ${destination}`]),
    ...(icmpv6Type === undefined ? [] : [`icmpv6 type ${icmpv6Type}`]),
    ...(protocol === undefined ? [] : [portText(protocol, ports)]),
  ];
}

function ip(cidr: string): 'ip' | 'ip6' {
  return cidr.includes(':') ? 'ip6' : 'ip';
}

function portText(protocol: 'tcp' | 'udp', ports: PolicyMatch['ports']): string {
  if (ports === undefined) return `meta l4proto ${protocol}`;
  const [first, last] = ports;
  return `${protocol} dport ${first === last ? first : `${first}-${last}`}`;
}
