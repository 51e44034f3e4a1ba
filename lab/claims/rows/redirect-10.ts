import type { Claim } from '../claim.ts';
import { connmarkOfRedirect } from '../checks/node-rules.ts';

/** See `statement`. */
export const redirect10: Claim = {
  id: 'redirect-10',
  statement: 'Connections of the redirect carry the connmark 0x210 on the node',
  source: 'facts, statement 10',
  eras: ['geneve'],
  check: connmarkOfRedirect,
};
