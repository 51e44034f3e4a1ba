import { type Claim, IN_POD } from '../claim.ts';
import { allowOneAccount } from '../checks/policies.ts';

/** See `statement`. */
export const pol01: Claim = {
  id: 'pol-01',
  statement:
    'ALLOW for one service account refuses another: CONNECT 401, and the client sees a reset',
  source: 'field notes',
  eras: IN_POD,
  requests: ['admitted', 'refused'],
  check: allowOneAccount,
};
