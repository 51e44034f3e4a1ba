import { type Claim, IN_POD } from '../claim.ts';
import { ownPortsRefused } from '../checks/pod-state.ts';

/** See `statement`. */
export const redirect44: Claim = {
  id: 'redirect-44',
  statement: 'A pod cannot use its own 15001, 15006 and 15008',
  source: 'facts, statement 44',
  eras: IN_POD,
  changesLab: true,
  check: ownPortsRefused,
};
