import type { Claim } from '../claim.ts';
import { applyTwice } from '../checks/pod-state.ts';

/** See `statement`. */
export const rule04: Claim = {
  id: 'rule-04',
  statement: 'Restoring the rules twice fails at line 2; a correct agent makes it a no-op',
  source: 'field notes',
  eras: ['inpod-tproxy', 'inpod-redirect'],
  changesLab: true,
  check: applyTwice,
};
