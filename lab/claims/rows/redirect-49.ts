import { type Claim, IN_POD } from '../claim.ts';
import { workloadIdentities } from '../checks/tunnels.ts';

/** See `statement`. */
export const redirect49: Claim = {
  id: 'redirect-49',
  statement: 'Certificates carry the identity of the workload, never that of ztunnel',
  source: 'facts, statement 49',
  eras: IN_POD,
  requests: ['far', 'near'],
  check: workloadIdentities,
};
