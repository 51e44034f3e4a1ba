import { type Claim, IN_POD } from '../claim.ts';
import { onlyFourPorts } from '../checks/pod-state.ts';

/** See `statement`. */
export const redirect43: Claim = {
  id: 'redirect-43',
  statement: 'Only 15001, 15006, 15008 and 15053 are bound in the pod',
  source: 'facts, statement 43',
  eras: IN_POD,
  check: onlyFourPorts,
};
