import { type Claim, IN_POD } from '../claim.ts';
import { firstInstructionCaptured } from '../checks/lives.ts';

/** See `statement`. */
export const cni02: Claim = {
  id: 'cni-02',
  statement: 'A new pod starts only after redirection works: no packet escapes',
  source: 'field notes',
  eras: IN_POD,
  check: firstInstructionCaptured,
};
