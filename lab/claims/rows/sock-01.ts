import { type Claim, IN_POD } from '../claim.ts';
import { socketsOfZtunnel } from '../checks/pod-state.ts';

/** See `statement`. */
export const sock01: Claim = {
  id: 'sock-01',
  statement: 'ztunnel runs in its own namespace and owns listening sockets inside each pod',
  source: 'field notes',
  eras: IN_POD,
  check: socketsOfZtunnel,
};
