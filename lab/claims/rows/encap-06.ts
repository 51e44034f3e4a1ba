import { AMBIENT, type Claim } from '../claim.ts';
import { poolOfIdentities } from '../checks/tunnels.ts';

/** See `statement`. */
export const encap06: Claim = {
  id: 'encap-06',
  statement:
    'HBONE connections between two identities are pooled and shared, two accounts never share one',
  source: 'field notes',
  eras: AMBIENT,
  requests: ['pool', 'other'],
  check: poolOfIdentities,
};
