import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect07: Claim = {
  id: 'redirect-07',
  statement: 'UDP is never captured but for DNS',
  source: 'facts, statement 7',
  eras: ['geneve'],
  needs: 'a check of the node-level redirect',
};
