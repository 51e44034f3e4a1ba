import { type Claim, IN_POD } from '../claim.ts';

/** See `statement`. */
export const redirect29: Claim = {
  id: 'redirect-29',
  statement:
    'Annotation bypass-inbound-capture: plain text untouched, outbound captured, HBONE served',
  source: 'facts, statement 29',
  eras: IN_POD,
  needs: 'annotated pods in the world of claims',
};
