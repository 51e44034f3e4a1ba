import { type Claim, IN_POD } from '../claim.ts';
import { loopbackDnsIsFree } from '../checks/dns.ts';

/** See `statement`. */
export const redirect28: Claim = {
  id: 'redirect-28',
  statement: 'DNS over loopback by UDP is not captured',
  source: 'facts, statement 28',
  eras: IN_POD,
  actions: ['dnsUdp', 'dnsLoop'],
  check: loopbackDnsIsFree,
};
