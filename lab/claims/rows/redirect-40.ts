import { type Claim, IN_POD } from '../claim.ts';
import { bothTakeNew } from '../checks/rolling.ts';

/** See `statement`. */
export const redirect40: Claim = {
  id: 'redirect-40',
  statement: 'While two ztunnels overlap, new connections land on either',
  source: 'facts, statement 40',
  eras: IN_POD,
  changesLab: true,
  check: bothTakeNew,
};
