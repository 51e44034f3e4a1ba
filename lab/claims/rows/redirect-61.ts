import { sourceByMode } from '../checks/sidecar-modes.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect61: Claim = {
  id: 'redirect-61',
  statement: 'Behind a sidecar the app sees 127.0.0.6 with REDIRECT and the client with TPROXY',
  source: 'facts, statement 61',
  eras: ['sidecar'],
  check: sourceByMode,
};
