import type { Claim } from '../claim.ts';
import { nearSeesClient } from '../checks/node-level.ts';

/** See `statement`. */
export const redirect02: Claim = {
  id: 'redirect-02',
  statement: 'The server sees the address of the client pod, same node',
  source: 'facts, statement 2',
  eras: ['geneve'],
  requests: ['near'],
  check: nearSeesClient,
};
