import { invalidIsDropped } from '../checks/sidecar-modes.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect66: Claim = {
  id: 'redirect-66',
  statement: 'INVALID packets are dropped instead of reset when asked for',
  source: 'facts, statement 66',
  eras: ['sidecar'],
  check: invalidIsDropped,
};
