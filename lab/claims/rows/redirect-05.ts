import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect05: Claim = {
  id: 'redirect-05',
  statement: 'An uncaptured client reaches 15006 of a captured server, source kept',
  source: 'facts, statement 5',
  eras: ['geneve'],
  needs: 'a check of the node-level redirect',
};
