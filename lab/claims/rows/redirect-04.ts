import type { Claim } from '../claim.ts';
import { passthroughKeepsSource } from '../checks/plain.ts';

/** See `statement`. */
export const redirect04: Claim = {
  id: 'redirect-04',
  statement: 'A destination that is not captured is passed through with the source of the client',
  source: 'facts, statement 4',
  eras: ['geneve'],
  requests: ['plainOut'],
  check: passthroughKeepsSource,
};
