import { type Claim, IN_POD } from '../claim.ts';
import { encryptedAtThePod } from '../checks/tunnels.ts';

/** See `statement`. */
export const encap05: Claim = {
  id: 'encap-05',
  statement: 'Traffic enters and leaves the namespace of the pod already encrypted',
  source: 'field notes',
  eras: IN_POD,
  requests: ['far'],
  check: encryptedAtThePod,
};
