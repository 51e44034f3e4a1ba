import { type Claim, IN_POD } from '../claim.ts';
import { leavesNothing } from '../checks/pod-state.ts';

/** See `statement`. */
export const redirect34: Claim = {
  id: 'redirect-34',
  statement: 'A pod that joined and left keeps no chain, rule or route',
  source: 'facts, statement 34',
  eras: IN_POD,
  changesLab: true,
  check: leavesNothing,
};
