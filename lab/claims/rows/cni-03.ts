import type { Claim } from '../claim.ts';
import { collidesWithCni } from '../checks/network-policy.ts';

/** See `statement`. */
export const cni03: Claim = {
  id: 'cni-03',
  statement: 'Node-level redirection collides with the rules of a primary CNI, in-pod does not',
  source: 'field notes',
  eras: ['geneve', 'inpod-redirect'],
  changesLab: true,
  check: collidesWithCni,
};
