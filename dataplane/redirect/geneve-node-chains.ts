import { ZTUNNEL_DNS_PORT } from './constants.ts';
import * as g from './geneve-constants.ts';
import type { FullNodeOptions } from './geneve-node.ts';
import { markText, not, option, target } from './rule.ts';
import type { RedirectRule, RuleOption, Table, Target } from './rule.ts';
import * as words from './vocabulary.ts';

const CHAINS: readonly (readonly [Table, string])[] = [
  ['nat', 'PREROUTING'],
  ['nat', 'POSTROUTING'],
  ['mangle', 'PREROUTING'],
  ['mangle', 'POSTROUTING'],
  ['mangle', 'OUTPUT'],
  ['mangle', 'INPUT'],
  ['mangle', 'FORWARD'],
];

/** Chains and rules of the node, in the order in which 1.18 to 1.20 make them. */
export function geneveNodeChains(options: FullNodeOptions): readonly RedirectRule[] {
  const hasFilter = options.release !== '1.18';
  const chains = hasFilter ? [...CHAINS, ['filter', 'FORWARD'] as const] : CHAINS;
  return [
    ...chains.map(([table, chain]) => jump(table, chain)),
    ...natRules(options),
    ...preroutingRules(options),
    ...outputRules(options),
    ...['INPUT', 'FORWARD'].flatMap(rememberRules),
    ...(hasFilter ? [acceptRefused()] : []),
  ];
}

function jump(table: Table, chain: string): RedirectRule {
  const why = 'First in the chain, before the rules of kube-proxy and of the primary CNI.';
  const to = target(`ztunnel-${chain}`);
  return { table, chain, position: 'first', match: [], target: to, why };
}

function rule(
  table: Table,
  chain: string,
  match: readonly RuleOption[],
  to: Target,
  why: string,
): RedirectRule {
  return words.rule(table, `ztunnel-${chain}`, match, to, why);
}

/** Bits of a mark that are all set, as a match. */
function hasMark(mark: number, module: 'mark' | 'connmark' = 'mark'): readonly RuleOption[] {
  return [option('-m', module), option('--mark', markText(mark, mark))];
}

/** Sets these bits and leaves the others. */
function setMark(mark: number): Target {
  return target('MARK', option('--set-mark', markText(mark, mark)));
}

const IN_SET = (way: 'src' | 'dst'): readonly RuleOption[] => [
  option('-m', 'set'),
  option('--match-set', g.POD_SET, way),
];

function natRules({ dnsCapture, ztunnelAddress }: FullNodeOptions): readonly RedirectRule[] {
  const captured = hasMark(g.OUTBOUND_MARK);
  const rules = [
    rule(
      'nat',
      'PREROUTING',
      captured,
      words.ACCEPT,
      'kube-proxy must not resolve the service of a captured connection: ztunnel wants to see its ' +
        'address.',
    ),
  ];
  if (dnsCapture) {
    rules.push(
      rule(
        'nat',
        'PREROUTING',
        [words.UDP, ...IN_SET('src'), words.MODULE_UDP, words.destinationPort(53)],
        target('DNAT', option('--to-destination', `${ztunnelAddress}:${ZTUNNEL_DNS_PORT}`)),
        'Questions of enrolled pods to the DNS go to ztunnel.',
      ),
    );
  }
  const why = 'The first packet of a captured connection keeps its source on its way to ztunnel.';
  return [...rules, rule('nat', 'POSTROUTING', captured, words.ACCEPT, why)];
}

function preroutingRules(options: FullNodeOptions): readonly RedirectRule[] {
  const { ztunnelLink, ztunnelAddress, port } = options;
  const fromZtunnel = words.inLink(ztunnelLink);
  const prerouting = (match: readonly RuleOption[], to: Target, why: string): RedirectRule =>
    rule('mangle', 'PREROUTING', match, to, why);
  const skip = hasMark(g.SKIP_MARK);
  return [
    ...[g.INBOUND_TUNNEL.node.name, g.OUTBOUND_TUNNEL.node.name].flatMap((name) => [
      prerouting(
        [words.inLink(name)],
        setMark(g.SKIP_MARK),
        `What comes back out of ${name} has been at ztunnel: table main.`,
      ),
      prerouting([words.inLink(name)], words.RETURN, 'Nothing below is for it.'),
    ]),
    prerouting(
      [words.UDP, words.MODULE_UDP, words.destinationPort(port)],
      words.RETURN,
      'Packets of the tunnels themselves are not captured again.',
    ),
    prerouting(
      hasMark(g.CONN_SKIP_MARK, 'connmark'),
      setMark(g.SKIP_MARK),
      'The connection is remembered as one to leave alone: so are its answers.',
    ),
    prerouting(
      skip,
      words.RETURN,
      'Its connection is one to leave alone: nothing below is for it.',
    ),
    prerouting(
      [not(fromZtunnel), ...hasMark(g.PROXY_MARK, 'connmark')],
      setMark(g.PROXY_RETURN_MARK),
      'The connection is one of ztunnel with a borrowed source, and this packet is not from ' +
        'ztunnel: it is an answer, and must go back there though it is addressed to the pod.',
    ),
    prerouting(hasMark(g.PROXY_RETURN_MARK), words.RETURN, 'On its way back to ztunnel.'),
    prerouting(
      [fromZtunnel, not(words.source(ztunnelAddress))],
      setMark(g.PROXY_MARK),
      'ztunnel sends with the address of another: leave it alone, and remember the connection so ' +
        'that answers find back.',
    ),
    prerouting(skip, words.RETURN, 'ztunnel’s own packet goes where table main says.'),
    prerouting(
      [fromZtunnel],
      setMark(g.CONN_SKIP_MARK),
      'What ztunnel sends in its own name is nobody else’s concern, and neither are the answers.',
    ),
    prerouting(
      [words.UDP],
      setMark(g.CONN_SKIP_MARK),
      'UDP is never captured: ztunnel speaks TCP.',
    ),
    prerouting(skip, words.RETURN, 'Marked just above, or before: to table main.'),
    prerouting(
      [words.TCP, ...IN_SET('src')],
      setMark(g.OUTBOUND_MARK),
      'A new connection of an enrolled pod: to ztunnel.',
    ),
  ];
}

function outputRules({ release, hostAddress }: FullNodeOptions): readonly RedirectRule[] {
  const conn = target('MARK', option('--set-mark', `0x${g.CONN_SKIP_MARK.toString(16)}`));
  const why =
    'A probe of the node goes straight to the pod: the node has no identity. The mark also takes ' +
    'its answers past ztunnel.';
  const probes =
    release === '1.20'
      ? [
          words.source(hostAddress),
          words.TCP,
          option('-m', 'owner'),
          option('--socket-exists'),
          ...IN_SET('dst'),
        ]
      : [words.source(hostAddress)];
  return [rule('mangle', 'OUTPUT', probes, conn, why)];
}

function rememberRules(chain: string): readonly RedirectRule[] {
  const remember = (mark: number, why: string): RedirectRule => {
    const bits = `0x${mark.toString(16)}`;
    const save = target(
      'CONNMARK',
      option('--save-mark'),
      option('--nfmask', bits),
      option('--ctmask', bits),
    );
    return rule('mangle', chain, hasMark(mark), save, why);
  };
  return [
    remember(g.CONN_SKIP_MARK, 'Answers of this connection are to be left alone, too.'),
    remember(
      g.PROXY_MARK,
      'Answers of this connection are to go back to ztunnel; without it every packet of the client ' +
        'would take the tunnel.',
    ),
  ];
}

function acceptRefused(): RedirectRule {
  return rule(
    'filter',
    'FORWARD',
    hasMark(g.OUTBOUND_MARK),
    words.ACCEPT,
    'kube-proxy refuses services without endpoints here; whether there are any is for ztunnel to ' +
      'say.',
  );
}
