import { type Claim, IN_POD } from '../claim.ts';

/** See `statement`. */
export const cni01: Claim = {
  id: 'cni-01',
  statement: 'The agent enrols and releases running pods without restarting the app',
  source: 'field notes',
  eras: IN_POD,
  needs: 'a client held open by the check (shown in test/e2e/lives)',
};
