import { type Claim, IN_POD } from '../claim.ts';

/** See `statement`. */
export const redirect27: Claim = {
  id: 'redirect-27',
  statement: 'DNS of the app by UDP and TCP meets 15053, that of ztunnel does not',
  source: 'facts, statement 27',
  eras: IN_POD,
  needs: 'a check of DNS',
};
