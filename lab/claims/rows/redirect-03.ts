import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect03: Claim = {
  id: 'redirect-03',
  statement: 'The server sees the address of the client pod, other node',
  source: 'facts, statement 3',
  eras: ['geneve'],
  needs: 'a check of the node-level redirect',
};
