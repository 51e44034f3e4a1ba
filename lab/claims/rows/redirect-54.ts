import { type Claim, IN_POD } from '../claim.ts';
import { revokedIsClosed } from '../checks/lives.ts';

/** See `statement`. */
export const redirect54: Claim = {
  id: 'redirect-54',
  statement: 'Revoking an ALLOW closes connections that are open',
  source: 'facts, statement 54',
  eras: IN_POD,
  changesLab: true,
  check: revokedIsClosed,
};
