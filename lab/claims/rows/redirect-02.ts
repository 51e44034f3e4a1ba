import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect02: Claim = {
  id: 'redirect-02',
  statement: 'The server sees the address of the client pod, same node',
  source: 'facts, statement 2',
  eras: ['geneve'],
  needs: 'a check of the node-level redirect',
};
