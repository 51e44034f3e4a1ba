import { type Claim, IN_POD } from '../claim.ts';
import { poolOfIdentities } from '../checks/tunnels.ts';

/** See `statement`. */
export const redirect46: Claim = {
  id: 'redirect-46',
  statement: 'Two service accounts on a node never share a TLS connection',
  source: 'facts, statement 46',
  eras: IN_POD,
  requests: ['pool', 'other'],
  check: poolOfIdentities,
};
