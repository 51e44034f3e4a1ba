import { type Claim, IN_POD } from '../claim.ts';
import { hboneNeedsPort15008 } from '../checks/network-policy.ts';

/** See `statement`. */
export const redirect42: Claim = {
  id: 'redirect-42',
  statement: 'Blocking 15008 stops HBONE but not plain text',
  source: 'facts, statement 42',
  eras: IN_POD,
  changesLab: true,
  check: hboneNeedsPort15008,
};
