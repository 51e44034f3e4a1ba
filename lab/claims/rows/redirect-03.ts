import type { Claim } from '../claim.ts';
import { farSeesClient } from '../checks/node-level.ts';

/** See `statement`. */
export const redirect03: Claim = {
  id: 'redirect-03',
  statement: 'The server sees the address of the client pod, other node',
  source: 'facts, statement 3',
  eras: ['geneve'],
  requests: ['far'],
  check: farSeesClient,
};
