import { ownPortsAreFree } from '../checks/sidecar-pods.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect64: Claim = {
  id: 'redirect-64',
  statement: '15090, 15021, 15020 and 15008 are not captured inbound',
  source: 'facts, statement 64',
  eras: ['sidecar'],
  check: ownPortsAreFree,
};
