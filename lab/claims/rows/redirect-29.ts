import type { Claim } from '../claim.ts';
import { bypassesInbound } from '../checks/lives.ts';

/** See `statement`. */
export const redirect29: Claim = {
  id: 'redirect-29',
  statement:
    'Annotation bypass-inbound-capture: plain text untouched, outbound captured, HBONE served',
  source: 'facts, statement 29',
  eras: ['inpod-redirect', 'inpod-nft'],
  requests: ['gatePlain', 'gateMesh', 'gateOut'],
  check: bypassesInbound,
};
