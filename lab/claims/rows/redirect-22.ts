import { type Claim, IN_POD } from '../claim.ts';
import { plainMeets15006 } from '../checks/plain.ts';

/** See `statement`. */
export const redirect22: Claim = {
  id: 'redirect-22',
  statement: 'Plain text inbound meets 15006 whatever the port, but for 15008',
  source: 'facts, statement 22',
  eras: IN_POD,
  requests: ['plainIn', 'plainOther', 'plainHbone'],
  check: plainMeets15006,
};
