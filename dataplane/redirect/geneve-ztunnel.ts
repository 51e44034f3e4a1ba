import { isIPv4 } from 'node:net';
import {
  ZTUNNEL_HBONE_PORT,
  ZTUNNEL_INBOUND_PLAINTEXT_PORT,
  ZTUNNEL_OUTBOUND_PORT,
} from './constants.ts';
import { RedirectOptionsError } from './errors.ts';
import * as g from './geneve-constants.ts';
import { markText, not, option, target } from './rule.ts';
import type { ForwardRoute, RedirectRule, RoutingEntry, RuleOption, RuleSet } from './rule.ts';
import type { SysctlEntry, TunnelLink } from './rule.ts';
import * as words from './vocabulary.ts';

/** What the rules in the ztunnel pod depend on. */
export interface GeneveZtunnelOptions {
  /** Address of the node that its tunnels lead to. */
  readonly hostAddress: string;
  readonly ztunnelAddress: string;
  /** The pod's own link; eth0 when absent. */
  readonly link?: string;
  /** UDP port of the tunnels; 6081 when absent. */
  readonly port?: number;
}

/**
 * Everything the netns of a node's ztunnel pod gets in era geneve: istio/istio
 * `cni/pkg/ambient/net_linux.go` (CreateRulesWithinNodeProxyNS) at 1.18 to 1.20.
 * @throws {RedirectOptionsError} for a bad address
 */
export function geneveZtunnelRules(options: GeneveZtunnelOptions): RuleSet {
  const { hostAddress, ztunnelAddress, link = 'eth0', port = g.GENEVE_PORT } = options;
  for (const [name, value] of Object.entries({ hostAddress, ztunnelAddress })) {
    if (!isIPv4(value)) throw new RedirectOptionsError(name, value, 'an IPv4 address is wished');
  }
  return {
    era: 'geneve',
    families: [
      {
        family: 'ipv4',
        rules: rules(ztunnelAddress, link),
        ownedChains: [
          { table: 'mangle', chain: 'PREROUTING' },
          { table: 'nat', chain: 'OUTPUT' },
        ],
      },
    ],
    routing: [...policyRules(), ...routes(hostAddress, link)],
    sets: [],
    links: links(hostAddress, port, link),
    sysctls: sysctls(link),
    ownedTables: g.GENEVE_TABLES,
    ownedPriorities: g.ZTUNNEL_PRIORITIES,
  };
}

function links(remote: string, port: number, underlay: string): readonly TunnelLink[] {
  return [g.INBOUND_TUNNEL, g.OUTBOUND_TUNNEL].map(({ ztunnel, node, vni }) => ({
    name: ztunnel.name,
    vni,
    remote,
    port,
    address: `${ztunnel.address}/${g.TUNNEL_PREFIX}`,
    underlay,
    why: `The other end of the node's ${node.name}.`,
  }));
}

function policyRules(): readonly RoutingEntry[] {
  const marked = (mark: number, priority: number, why: string): RoutingEntry => ({
    kind: 'fwmark-rule',
    family: 'ipv4',
    mark,
    mask: g.ZTUNNEL_MARK_MASK,
    priority,
    table: g.INBOUND_TABLE,
    why,
  });
  return [
    marked(
      g.TPROXY_MARK,
      g.TPROXY_PRIORITY,
      'A packet that TPROXY gave to a socket is delivered here, though its address is of another.',
    ),
    marked(
      g.ORIGINAL_SOURCE_MARK,
      g.ORIGINAL_SOURCE_PRIORITY,
      'An answer to an address that ztunnel borrowed is delivered here.',
    ),
  ];
}

function routes(hostAddress: string, link: string): readonly RoutingEntry[] {
  const family = 'ipv4';
  const unused = 'No rule leads here any more: it served marks of the preview of 2022.';
  const route = (entry: Omit<ForwardRoute, 'kind' | 'family' | 'why'>): ForwardRoute => {
    return { kind: 'route', family, ...entry, why: unused };
  };
  const tunnel = (table: number, { node, ztunnel }: (typeof TUNNELS)[number]): ForwardRoute =>
    route({ to: '0.0.0.0/0', via: node.address, link: ztunnel.name, table });
  return [
    {
      kind: 'local-route',
      family,
      to: '0.0.0.0/0',
      link: 'lo',
      table: g.INBOUND_TABLE,
      why: 'Table 100 delivers everything to a socket here: ztunnel holds one for it.',
    },
    tunnel(g.OUTBOUND_TABLE, g.OUTBOUND_TUNNEL),
    tunnel(g.PROXY_TABLE, g.INBOUND_TUNNEL),
    route({ to: `${hostAddress}/32`, link, table: g.OUTBOUND_TABLE }),
    route({ to: `${hostAddress}/32`, link, table: g.PROXY_TABLE }),
  ];
}

const TUNNELS = [g.INBOUND_TUNNEL, g.OUTBOUND_TUNNEL] as const;

function sysctls(link: string): readonly SysctlEntry[] {
  const why = 'Reverse path filtering would drop what comes with the addresses of others.';
  const names = [...TUNNELS.map(({ ztunnel }) => ztunnel.name), 'default', 'all', link];
  return names.map((name) => ({ key: `net/ipv4/conf/${name}/rp_filter`, value: '0', why }));
}

function rules(ztunnelAddress: string, link: string): readonly RedirectRule[] {
  const inbound = words.inLink(g.INBOUND_TUNNEL.ztunnel.name);
  const outbound = words.inLink(g.OUTBOUND_TUNNEL.ztunnel.name);
  return [
    tproxy(
      [inbound, words.TCP, words.MODULE_TCP, words.destinationPort(ZTUNNEL_HBONE_PORT)],
      ZTUNNEL_HBONE_PORT,
      'HBONE for a pod of this node goes to the listener that speaks it.',
    ),
    tproxy(
      [outbound, words.TCP],
      ZTUNNEL_OUTBOUND_PORT,
      'What a pod of this node sends goes to the outbound listener, addresses as they were sent.',
    ),
    tproxy(
      [inbound, words.TCP],
      ZTUNNEL_INBOUND_PLAINTEXT_PORT,
      'Plain text for a pod of this node goes to the listener that passes it through.',
    ),
    words.rule(
      'mangle',
      'PREROUTING',
      [not(words.destination(ztunnelAddress)), words.inLink(link), words.TCP],
      target('MARK', option('--set-mark', markText(g.ORIGINAL_SOURCE_MARK, g.ZTUNNEL_MARK_MASK))),
      'Packets for an address that is not ztunnel’s own belong to a connection that it made, or ' +
        'took, in the name of a pod: they must reach its socket.',
    ),
  ];
}

function tproxy(match: readonly RuleOption[], port: number, why: string): RedirectRule {
  const to = target(
    'TPROXY',
    option('--on-port', String(port)),
    option('--on-ip', '127.0.0.1'),
    option('--tproxy-mark', markText(g.TPROXY_MARK, g.ZTUNNEL_MARK_MASK)),
  );
  return words.rule('mangle', 'PREROUTING', match, to, why);
}
