import {
  CHAIN_PREROUTING,
  INPOD_MASK,
  INPOD_TPROXY_MARK,
  ZTUNNEL_HBONE_PORT,
  ZTUNNEL_INBOUND_PLAINTEXT_PORT,
} from './constants.ts';
import { captureDnsTcp, captureDnsUdp, dnsZones } from './dns-rules.ts';
import {
  acceptBorrowedAddress,
  acceptOwnAddress,
  acceptProbeReply,
  captureOutbound,
} from './outbound-rules.ts';
import type { FamilyOptions } from './pod-rules.ts';
import * as reasons from './reasons.ts';
import { markText, not, option, target } from './rule.ts';
import type { RedirectRule, Target } from './rule.ts';
import * as words from './vocabulary.ts';

/**
 * Rules of Istio 1.21–1.23 (`cni/pkg/iptables/testdata/default.golden`), and of 1.24 when asked for
 * TPROXY (`tproxy.golden`): inbound without NAT, so that sockets see the addresses as sent. With
 * inbound bypassed, 1.24 put nothing at all into ISTIO_PRERT (`ingress.golden` before
 * istio/istio#58577): HBONE that reaches the pod then hangs behind ztunnel.
 */
export function inpodTproxyRules(options: FamilyOptions): readonly RedirectRule[] {
  const isLate = options.tproxyRelease === '1.24';
  const rules = [
    words.jump('mangle', 'PREROUTING'),
    words.jump('mangle', 'OUTPUT'),
    ...(options.bypassInbound ? [] : [words.markZtunnelConnections(), ...inbound(options)]),
    words.restoreConnectionMark(),
    words.jump('nat', 'OUTPUT'),
    acceptProbeReply(options.probeAddress),
  ];
  if (options.dnsCapture) rules.push(captureDnsUdp(isLate));
  if (options.dnsCapture && isLate) rules.push(captureDnsTcp(options.loopback));
  rules.push(
    acceptBorrowedAddress(),
    acceptOwnAddress(options.loopback),
    captureOutbound(options.loopback),
  );
  if (options.dnsCapture && isLate) rules.push(...dnsZones());
  return rules;
}

function inbound(options: FamilyOptions): readonly RedirectRule[] {
  const toHbone = [
    words.TCP,
    words.MODULE_TCP,
    words.destinationPort(ZTUNNEL_HBONE_PORT),
    words.MODULE_MARK,
    not(words.FROM_ZTUNNEL),
  ];
  return [
    prerouting(
      [words.source(options.probeAddress), words.TCP, words.MODULE_TCP],
      words.ACCEPT,
      reasons.ACCEPT_PROBE,
    ),
    prerouting(
      [not(words.destination(options.loopback)), words.TCP, words.inLink(words.LOOPBACK_LINK)],
      words.ACCEPT,
      'What comes in by lo is the pod talking to its own address, or ztunnel talking to the app.',
    ),
    prerouting(
      toHbone,
      tproxyTo(ZTUNNEL_HBONE_PORT),
      'HBONE from others is given to ztunnel with the addresses as they were sent.',
    ),
    prerouting(
      [words.TCP, option('-m', 'conntrack'), option('--ctstate', 'RELATED,ESTABLISHED')],
      words.ACCEPT,
      'Packets of connections that exist (replies to the app and to ztunnel) are no new inbound ' +
        'connections.',
    ),
    prerouting(
      [
        not(words.destination(options.loopback)),
        words.TCP,
        words.MODULE_MARK,
        not(words.FROM_ZTUNNEL),
      ],
      tproxyTo(ZTUNNEL_INBOUND_PLAINTEXT_PORT),
      `Plaintext from others goes to ztunnel on ${ZTUNNEL_INBOUND_PLAINTEXT_PORT}, addresses ` +
        'as they were sent.',
    ),
  ];
}

function prerouting(match: RedirectRule['match'], to: Target, why: string): RedirectRule {
  return words.rule('mangle', CHAIN_PREROUTING, match, to, why);
}

function tproxyTo(port: number): Target {
  const mark = markText(INPOD_TPROXY_MARK, INPOD_MASK);
  return target('TPROXY', option('--on-port', String(port)), option('--tproxy-mark', mark));
}
