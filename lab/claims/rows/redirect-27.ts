import { type Claim, IN_POD } from '../claim.ts';
import { dnsIsCaptured } from '../checks/dns.ts';

/** See `statement`. */
export const redirect27: Claim = {
  id: 'redirect-27',
  statement: 'DNS of the app by UDP and TCP meets 15053, that of ztunnel does not',
  source: 'facts, statement 27',
  eras: IN_POD,
  actions: ['dnsUdp', 'dnsTcp'],
  expected: {
    'inpod-tproxy': {
      outcome: 'refuted',
      because: 'the rules of 1.21 to 1.23 capture DNS over UDP only; TCP came with 1.24',
    },
  },
  check: dnsIsCaptured,
};
