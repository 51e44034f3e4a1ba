import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect16: Claim = {
  id: 'redirect-16',
  statement: 'Replacing the active ztunnel drops traffic for a moment',
  source: 'facts, statement 16',
  eras: ['geneve'],
  needs: 'a check of the node-level redirect',
};
