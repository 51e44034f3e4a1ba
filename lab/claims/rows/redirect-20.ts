import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect20: Claim = {
  id: 'redirect-20',
  statement: 'A same-node HBONE pair never shows 15008 on a wire',
  source: 'facts, statement 20',
  eras: ['geneve'],
  needs: 'a check of the node-level redirect',
};
