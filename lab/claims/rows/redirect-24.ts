import { type Claim, IN_POD } from '../claim.ts';
import { forwardedKeepsSource } from '../checks/plain.ts';

/** See `statement`. */
export const redirect24: Claim = {
  id: 'redirect-24',
  statement: 'Traffic that the node forwards is not SNATed',
  source: 'facts, statement 24',
  eras: IN_POD,
  requests: ['plainIn', 'plainNear', 'probe'],
  check: forwardedKeepsSource,
};
