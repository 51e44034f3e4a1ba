import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect09: Claim = {
  id: 'redirect-09',
  statement: 'Only the first SYN of a captured connection is encapsulated',
  source: 'facts, statement 9',
  eras: ['geneve'],
  needs: 'a check of the node-level redirect',
};
