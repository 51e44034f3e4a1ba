import { includesAndExcludes } from '../checks/sidecar-modes.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect65: Claim = {
  id: 'redirect-65',
  statement: 'Included and excluded ranges and ports behave as documented',
  source: 'facts, statement 65',
  eras: ['sidecar'],
  check: includesAndExcludes,
};
