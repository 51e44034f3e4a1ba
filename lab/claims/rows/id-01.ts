import { AMBIENT, type Claim } from '../claim.ts';
import { workloadIdentities } from '../checks/tunnels.ts';

/** See `statement`. */
export const id01: Claim = {
  id: 'id-01',
  statement: 'ztunnel presents the identity of the workload, never its own',
  source: 'field notes',
  eras: AMBIENT,
  requests: ['far', 'near'],
  check: workloadIdentities,
};
