import { type Claim, IN_POD } from '../claim.ts';
import { hboneNeedsPort15008 } from '../checks/network-policy.ts';

/** See `statement`. */
export const cni04: Claim = {
  id: 'cni-04',
  statement: 'A policy that drops 15008 breaks HBONE, admitting it mends that',
  source: 'field notes',
  eras: IN_POD,
  changesLab: true,
  check: hboneNeedsPort15008,
};
