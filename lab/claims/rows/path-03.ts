import { type Claim, IN_POD } from '../claim.ts';
import { inpodLegs } from '../checks/tunnels.ts';

/** See `statement`. */
export const path03: Claim = {
  id: 'path-03',
  statement: 'In-pod: pod, 15001 inside it, 15008 of the peer, app: all through the local ztunnel',
  source: 'field notes',
  eras: IN_POD,
  requests: ['far', 'near'],
  check: inpodLegs,
};
