import { CHAIN_OUTPUT, CHAIN_PREROUTING, ZTUNNEL_DNS_PORT } from './constants.ts';
import { not, option, target } from './rule.ts';
import type { RedirectRule } from './rule.ts';
import * as words from './vocabulary.ts';

const DNS_PORT = 53;

/**
 * Questions by UDP go to ztunnel. Istio 1.21–1.23 did not spare ztunnel's own (`sparesZtunnel`).
 */
export function captureDnsUdp(sparesZtunnel: boolean): RedirectRule {
  const notOurs = sparesZtunnel ? [words.MODULE_MARK, not(words.FROM_ZTUNNEL)] : [];
  return words.rule(
    'nat',
    CHAIN_OUTPUT,
    [
      not(words.outLink(words.LOOPBACK_LINK)),
      words.UDP,
      ...notOurs,
      words.MODULE_UDP,
      words.destinationPort(DNS_PORT),
    ],
    target('REDIRECT', option('--to-port', String(ZTUNNEL_DNS_PORT))),
    `DNS questions of the app are answered by ztunnel on ${ZTUNNEL_DNS_PORT}; a resolver on the ` +
      'loopback of the pod (systemd-resolved, say) is left alone.',
  );
}

/** Questions by TCP go to ztunnel too. */
export function captureDnsTcp(loopback: string): RedirectRule {
  return words.rule(
    'nat',
    CHAIN_OUTPUT,
    [
      not(words.destination(loopback)),
      words.TCP,
      words.destinationPort(DNS_PORT),
      words.MODULE_MARK,
      not(words.FROM_ZTUNNEL),
    ],
    words.redirectTo(ZTUNNEL_DNS_PORT),
    'DNS over TCP (long answers) must meet the DNS proxy, not the general rule that sends TCP ' +
      'to 15001.',
  );
}

/** Keeps ztunnel's own questions apart from the app's in the connection table. */
export function dnsZones(): readonly RedirectRule[] {
  const zone = target('CT', option('--zone', '1'));
  return [
    words.jump('raw', 'PREROUTING'),
    words.jump('raw', 'OUTPUT'),
    words.rule(
      'raw',
      CHAIN_OUTPUT,
      [
        words.UDP,
        words.MODULE_MARK,
        words.FROM_ZTUNNEL,
        words.MODULE_UDP,
        words.destinationPort(DNS_PORT),
      ],
      zone,
      "ztunnel's questions to the real server are tracked in zone 1: with the app's port reused " +
        "they would collide with the app's redirected question.",
    ),
    words.rule(
      'raw',
      CHAIN_PREROUTING,
      [
        words.UDP,
        words.MODULE_MARK,
        not(words.FROM_ZTUNNEL),
        words.MODULE_UDP,
        words.sourcePort(DNS_PORT),
      ],
      zone,
      "The real server's answers belong to zone 1 as well, or they would find no connection.",
    ),
  ];
}
