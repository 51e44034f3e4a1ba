import { CHAIN_OUTPUT, CHAIN_PREROUTING, ZTUNNEL_DNS_PORT } from './constants.ts';
import * as reasons from './reasons.ts';
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
    reasons.CAPTURE_DNS_UDP,
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
    reasons.CAPTURE_DNS_TCP,
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
      reasons.ZONE_OF_QUESTIONS,
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
      reasons.ZONE_OF_ANSWERS,
    ),
  ];
}
