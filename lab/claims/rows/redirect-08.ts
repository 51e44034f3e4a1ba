import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect08: Claim = {
  id: 'redirect-08',
  statement: 'A pod reaches its own address without ztunnel',
  source: 'facts, statement 8',
  eras: ['geneve'],
  needs: 'a check of the node-level redirect',
};
