import { type Claim, IN_POD } from '../claim.ts';
import { statusOfConnect } from '../checks/tunnels.ts';

/** See `statement`. */
export const redirect47: Claim = {
  id: 'redirect-47',
  statement: 'CONNECT: 200 after the upstream connect, 503 when that fails, 401 by policy',
  source: 'facts, statement 47',
  eras: IN_POD,
  requests: ['far', 'closed', 'refused'],
  check: statusOfConnect,
};
