import { type Claim, IN_POD } from '../claim.ts';

/** See `statement`. */
export const redirect36: Claim = {
  id: 'redirect-36',
  statement: 'ztunnel accepts at once and holds the connection until certificate and state arrive',
  source: 'facts, statement 36',
  eras: IN_POD,
  needs: 'a control plane that answers late',
};
