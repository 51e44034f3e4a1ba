import { type Claim, IN_POD } from '../claim.ts';
import { firstInstructionCaptured } from '../checks/lives.ts';

/** See `statement`. */
export const redirect35: Claim = {
  id: 'redirect-35',
  statement: 'The network is ready before the first process of a pod',
  source: 'facts, statement 35',
  eras: IN_POD,
  check: firstInstructionCaptured,
};
