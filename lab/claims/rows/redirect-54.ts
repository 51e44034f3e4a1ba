import { type Claim, IN_POD } from '../claim.ts';

/** See `statement`. */
export const redirect54: Claim = {
  id: 'redirect-54',
  statement: 'Revoking an ALLOW closes connections that are open',
  source: 'facts, statement 54',
  eras: IN_POD,
  needs: 'a change of policies in a running lab',
};
