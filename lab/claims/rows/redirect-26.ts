import { type Claim, IN_POD } from '../claim.ts';
import { replyStaysInside } from '../checks/plain.ts';

/** See `statement`. */
export const redirect26: Claim = {
  id: 'redirect-26',
  statement: 'The reply to a borrowed source stays in the pod by mark 0x111 and table 100',
  source: 'facts, statement 26',
  eras: IN_POD,
  requests: ['far'],
  check: replyStaysInside,
};
