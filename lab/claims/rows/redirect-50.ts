import { type Claim, IN_POD } from '../claim.ts';

/** See `statement`. */
export const redirect50: Claim = {
  id: 'redirect-50',
  statement: 'A signing request for an identity without a pod on the node is refused',
  source: 'facts, statement 50',
  eras: IN_POD,
  needs: 'a certificate authority that knows which pod is where',
};
