import {
  CHAIN_OUTPUT,
  CHAIN_PREROUTING,
  INPOD_MARK,
  INPOD_MASK,
  INPOD_TPROXY_MARK,
} from './constants.ts';
import * as reasons from './reasons.ts';
import { markText, option, target } from './rule.ts';
import type { RedirectRule, RuleOption, Table, Target } from './rule.ts';

/** Words that the rules of both eras are written in. */

export const TCP: RuleOption = option('-p', 'tcp');
export const UDP: RuleOption = option('-p', 'udp');
export const MODULE_TCP: RuleOption = option('-m', 'tcp');
export const MODULE_UDP: RuleOption = option('-m', 'udp');
export const MODULE_MARK: RuleOption = option('-m', 'mark');
export const LOOPBACK_LINK = 'lo';

export const ACCEPT: Target = target('ACCEPT');
export const RETURN: Target = target('RETURN');

export const FROM_ZTUNNEL: RuleOption = option('--mark', markText(INPOD_MARK, INPOD_MASK));
export const OF_BORROWED_ADDRESS: RuleOption = option(
  '--mark',
  markText(INPOD_TPROXY_MARK, INPOD_MASK),
);

export const source = (address: string): RuleOption => option('-s', address);
export const destination = (address: string): RuleOption => option('-d', address);
export const inLink = (name: string): RuleOption => option('-i', name);
export const outLink = (name: string): RuleOption => option('-o', name);
export const destinationPort = (port: number): RuleOption => option('--dport', String(port));
export const sourcePort = (port: number): RuleOption => option('--sport', String(port));

/** `-j REDIRECT --to-ports <port>`: NAT to this pod itself; the socket can ask for what was meant. */
export function redirectTo(port: number): Target {
  return target('REDIRECT', option('--to-ports', String(port)));
}

/** An appended rule. */
export function rule(
  table: Table,
  chain: string,
  match: readonly RuleOption[],
  to: Target,
  why: string,
): RedirectRule {
  return { table, chain, position: 'append', match, target: to, why };
}

/** The jump from a built-in chain to ours. */
export function jump(table: Table, from: 'PREROUTING' | 'OUTPUT'): RedirectRule {
  const isInbound = from === 'PREROUTING';
  const why = isInbound ? reasons.JUMP_INBOUND : reasons.JUMP_OUTBOUND;
  return rule(table, from, [], target(isInbound ? CHAIN_PREROUTING : CHAIN_OUTPUT), why);
}

/** Marks connections that ztunnel opens in the pod, so that their replies can be told from others. */
export function markZtunnelConnections(): RedirectRule {
  return rule(
    'mangle',
    CHAIN_PREROUTING,
    [MODULE_MARK, FROM_ZTUNNEL],
    target('CONNMARK', option('--set-xmark', markText(INPOD_TPROXY_MARK, INPOD_MASK))),
    reasons.MARK_ZTUNNEL_CONNECTIONS,
  );
}

/** Gives the reply of such a connection a mark that the routing rule knows. */
export function restoreConnectionMark(): RedirectRule {
  return rule(
    'mangle',
    CHAIN_OUTPUT,
    [option('-m', 'connmark'), OF_BORROWED_ADDRESS],
    target(
      'CONNMARK',
      option('--restore-mark'),
      option('--nfmask', '0xffffffff'),
      option('--ctmask', '0xffffffff'),
    ),
    reasons.RESTORE_CONNECTION_MARK,
  );
}
