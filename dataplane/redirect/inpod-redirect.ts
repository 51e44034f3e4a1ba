import {
  CHAIN_PREROUTING,
  ZTUNNEL_HBONE_PORT,
  ZTUNNEL_INBOUND_PLAINTEXT_PORT,
  ZTUNNEL_OUTBOUND_PORT,
} from './constants.ts';
import { captureDnsUdp, captureDnsTcp, dnsZones } from './dns-rules.ts';
import {
  acceptBorrowedAddress,
  acceptOwnAddress,
  acceptProbeReply,
  captureOutbound,
} from './outbound-rules.ts';
import type { FamilyOptions } from './pod-rules.ts';
import * as reasons from './reasons.ts';
import { not } from './rule.ts';
import type { RedirectRule } from './rule.ts';
import * as words from './vocabulary.ts';

/**
 * Rules of Istio 1.24 and later with iptables: `cni/pkg/iptables/testdata/*.golden` at 1.30.3, in
 * their order.
 */
export function inpodRedirectRules(options: FamilyOptions): readonly RedirectRule[] {
  const rules = [
    words.jump('mangle', 'PREROUTING'),
    words.jump('mangle', 'OUTPUT'),
    words.markZtunnelConnections(),
    words.restoreConnectionMark(),
    words.jump('nat', 'OUTPUT'),
    words.jump('nat', 'PREROUTING'),
    ...options.virtualInterfaces.flatMap((name) => virtualInterface(name)),
  ];
  if (!options.bypassInbound) rules.push(acceptProbe(options.probeAddress));
  rules.push(acceptProbeReply(options.probeAddress));
  if (!options.bypassInbound) rules.push(captureInbound(options.loopback));
  if (options.dnsCapture) rules.push(captureDnsUdp(true), captureDnsTcp(options.loopback));
  rules.push(
    acceptBorrowedAddress(),
    acceptOwnAddress(options.loopback),
    captureOutbound(options.loopback),
  );
  if (options.dnsCapture) rules.push(...dnsZones());
  return rules;
}

function virtualInterface(name: string): readonly RedirectRule[] {
  const match = [words.inLink(name), words.TCP];
  return [
    words.rule(
      'nat',
      CHAIN_PREROUTING,
      match,
      words.redirectTo(ZTUNNEL_OUTBOUND_PORT),
      reasons.captureGuest(name),
    ),
    words.rule('nat', CHAIN_PREROUTING, match, words.RETURN, reasons.spareGuest(name)),
  ];
}

function acceptProbe(probeAddress: string): RedirectRule {
  return words.rule(
    'nat',
    CHAIN_PREROUTING,
    [words.source(probeAddress), words.TCP, words.MODULE_TCP],
    words.ACCEPT,
    reasons.ACCEPT_PROBE,
  );
}

function captureInbound(loopback: string): RedirectRule {
  return words.rule(
    'nat',
    CHAIN_PREROUTING,
    [
      not(words.destination(loopback)),
      words.TCP,
      not(words.destinationPort(ZTUNNEL_HBONE_PORT)),
      words.MODULE_MARK,
      not(words.FROM_ZTUNNEL),
    ],
    words.redirectTo(ZTUNNEL_INBOUND_PLAINTEXT_PORT),
    reasons.CAPTURE_INBOUND,
  );
}
