import { ownAddresses } from '../checks/sidecar-pods.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect63: Claim = {
  id: 'redirect-63',
  statement: '127.0.0.1 and the own address are free; the proxy reaches its pod over lo at 15006',
  source: 'facts, statement 63',
  eras: ['sidecar'],
  check: ownAddresses,
};
