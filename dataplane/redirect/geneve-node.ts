import { isIPv4 } from 'node:net';
import { RedirectOptionsError } from './errors.ts';
import { geneveNodeChains } from './geneve-node-chains.ts';
import * as g from './geneve-constants.ts';
import type { GeneveRelease } from './geneve-constants.ts';
import type { ForwardRoute, RoutingEntry, RuleSet, SysctlEntry, TunnelLink } from './rule.ts';

/** What the rules of a node depend on. */
export interface GeneveNodeOptions {
  /** 1.20 when absent. */
  readonly release?: GeneveRelease;
  /** Address that the node shows to its pods. */
  readonly hostAddress: string;
  readonly ztunnelAddress: string;
  /** Host-side end of the ztunnel pod's veth. */
  readonly ztunnelLink: string;
  /** UDP port of the tunnels; 6081 when absent. 1.18 knows no other. */
  readonly port?: number;
  /** DNS questions of enrolled pods go to ztunnel's port 15053. */
  readonly dnsCapture: boolean;
}

/** An enrolled pod of the node, as its part of the rules knows it. */
export interface GenevePod {
  readonly address: string;
  readonly uid: string;
}

/**
 * Everything the node's netns gets in era geneve, with the routes of its enrolled pods: istio/istio
 * `cni/pkg/ambient/net_linux.go` at 1.18 to 1.20.
 * @throws {RedirectOptionsError} for a bad address, link name or port
 */
export function geneveNodeRules(
  options: GeneveNodeOptions,
  pods: readonly GenevePod[] = [],
): RuleSet {
  checkOptions(options);
  return {
    era: 'geneve',
    families: [{ family: 'ipv4', rules: geneveNodeChains(withDefaults(options)) }],
    routing: [...routes(options), ...policyRules(), ...pods.map((pod) => podRoute(options, pod))],
    sets: [
      {
        name: g.POD_SET,
        family: 'ipv4',
        why: 'Addresses of the enrolled pods of this node: what these send is captured.',
      },
    ],
    links: links(options),
    sysctls: [...sysctls(options)],
    ownedTables: g.GENEVE_TABLES,
    ownedPriorities: g.NODE_PRIORITIES,
  };
}

/** Options with what is not said filled in. */
export type FullNodeOptions = Required<GeneveNodeOptions>;

function withDefaults(options: GeneveNodeOptions): FullNodeOptions {
  const { release = g.DEFAULT_GENEVE_RELEASE, port = g.GENEVE_PORT } = options;
  return { ...options, release, port };
}

function checkOptions({ hostAddress, ztunnelAddress, ztunnelLink, port }: GeneveNodeOptions): void {
  for (const [name, value] of Object.entries({ hostAddress, ztunnelAddress })) {
    if (!isIPv4(value)) throw new RedirectOptionsError(name, value, 'an IPv4 address is wished');
  }
  if (!/^[\w.:@-]{1,15}$/.test(ztunnelLink) || ztunnelLink.startsWith('-')) {
    throw new RedirectOptionsError('ztunnelLink', ztunnelLink, 'no name of a network interface');
  }
  if (port !== undefined && (!Number.isInteger(port) || port < 1 || port > 65_535)) {
    throw new RedirectOptionsError('port', String(port), 'a UDP port is wished');
  }
}

function links(options: GeneveNodeOptions): readonly TunnelLink[] {
  const { ztunnelAddress, ztunnelLink, port = g.GENEVE_PORT } = options;
  const end = (tunnel: typeof g.INBOUND_TUNNEL | typeof g.OUTBOUND_TUNNEL, why: string) => ({
    name: tunnel.node.name,
    vni: tunnel.vni,
    remote: ztunnelAddress,
    port,
    address: `${tunnel.node.address}/${g.TUNNEL_PREFIX}`,
    underlay: ztunnelLink,
    why,
  });
  return [
    end(
      g.INBOUND_TUNNEL,
      'Carries what is meant for an enrolled pod into ztunnel, addresses untouched; its VNI says ' +
        '"inbound".',
    ),
    end(
      g.OUTBOUND_TUNNEL,
      'Carries what an enrolled pod sends into ztunnel, addresses untouched; its VNI says ' +
        '"outbound".',
    ),
  ];
}

function route(entry: Omit<ForwardRoute, 'kind' | 'family'>): ForwardRoute {
  return { kind: 'route', family: 'ipv4', ...entry };
}

function routes({ ztunnelAddress, ztunnelLink }: GeneveNodeOptions): readonly RoutingEntry[] {
  const direct = (table: number, why: string): ForwardRoute =>
    route({ to: `${ztunnelAddress}/32`, link: ztunnelLink, table, why });
  return [
    direct(
      g.OUTBOUND_TABLE,
      'The tunnel copies the mark 0x100 to its outer packet, which therefore meets table 101 again: ' +
        'without this way to ztunnel itself it would be wrapped without end.',
    ),
    route({
      to: '0.0.0.0/0',
      via: g.OUTBOUND_TUNNEL.ztunnel.address,
      link: g.OUTBOUND_TUNNEL.node.name,
      table: g.OUTBOUND_TABLE,
      why: 'The first packet of a captured connection goes into the outbound tunnel, whoever it is for.',
    }),
    direct(g.PROXY_TABLE, 'The gateway of the default route of this table.'),
    route({
      to: '0.0.0.0/0',
      via: ztunnelAddress,
      link: ztunnelLink,
      isOnlink: true,
      table: g.PROXY_TABLE,
      why:
        'Answers to an address that ztunnel borrowed, and all packets of a captured connection but ' +
        'the first, go to ztunnel by its veth, without a tunnel.',
    }),
    direct(
      g.INBOUND_TABLE,
      'Outer packets of the inbound tunnel, which have no mark, reach ztunnel whatever else this ' +
        'table says.',
    ),
  ];
}

/**
 * The hint `src` is for the node's own packets. MASQUERADE does not heed it: it takes the address of
 * istioin, so a client outside that comes by a node port of the pod's own node is 192.168.126.1 to
 * ztunnel, which borrows that for its connection to the app. The answer to it ends on the node, whose
 * own address it is: such connections time out, by a node port of another node they do not.
 */
function podRoute({ hostAddress }: GeneveNodeOptions, { address }: GenevePod): ForwardRoute {
  return route({
    to: `${address}/32`,
    via: g.INBOUND_TUNNEL.ztunnel.address,
    link: g.INBOUND_TUNNEL.node.name,
    source: hostAddress,
    table: g.INBOUND_TABLE,
    why: 'What is meant for this enrolled pod goes into the inbound tunnel first.',
  });
}

function policyRules(): readonly RoutingEntry[] {
  const family = 'ipv4';
  const marked = (mark: number, priority: number, table: number, why: string): RoutingEntry => {
    return { kind: 'fwmark-rule', family, mark, mask: mark, priority, table, why };
  };
  return [
    {
      kind: 'goto-rule',
      family,
      mark: g.SKIP_MARK,
      mask: g.SKIP_MARK,
      priority: 100,
      target: g.MAIN_PRIORITY,
      why:
        "What is marked 0x200 (ztunnel's own packets, UDP, probes) passes over the rules below and " +
        'goes where the primary CNI says.',
    },
    marked(g.OUTBOUND_MARK, 101, g.OUTBOUND_TABLE, 'What a pod sends is led to ztunnel.'),
    marked(
      g.PROXY_RETURN_MARK,
      102,
      g.PROXY_TABLE,
      'Packets that belong to a connection of ztunnel with a borrowed source go back to ztunnel.',
    ),
    {
      kind: 'table-rule',
      family,
      priority: 103,
      table: g.INBOUND_TABLE,
      why:
        'Everything else: table 100 knows the enrolled pods only, and whoever is not there goes on ' +
        'to table main.',
    },
  ];
}

function* sysctls({ ztunnelLink }: GeneveNodeOptions): Generator<SysctlEntry> {
  const ofLink = (link: string, name: string, value: string, why: string): SysctlEntry => {
    return { key: `net/ipv4/conf/${link}/${name}`, value, why };
  };
  const strict = 'Reverse path filtering would drop packets with borrowed sources';
  yield ofLink('default', 'rp_filter', '0', `${strict}: links that are made from now on.`);
  yield ofLink('all', 'rp_filter', '0', `${strict}: the larger of this and the link's own counts.`);
  const links = [ztunnelLink, g.INBOUND_TUNNEL.node.name, g.OUTBOUND_TUNNEL.node.name];
  for (const link of links) {
    yield ofLink(link, 'rp_filter', '0', `${strict}: what comes from ztunnel.`);
    yield ofLink(
      link,
      'accept_local',
      '1',
      'ztunnel may send with an address of the node itself as source.',
    );
  }
}

/** Settings that enrolling a pod makes, for the host-side link of the pod. */
export function genevePodSysctls(link: string): readonly SysctlEntry[] {
  const why = 'Packets with borrowed sources pass the link of an enrolled pod.';
  return ['default', 'all', link].map((name) => {
    return { key: `net/ipv4/conf/${name}/rp_filter`, value: '0', why };
  });
}
