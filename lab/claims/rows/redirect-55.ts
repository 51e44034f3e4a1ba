import { type Claim, IN_POD } from '../claim.ts';

/** See `statement`. */
export const redirect55: Claim = {
  id: 'redirect-55',
  statement: 'The protocol turns to HBONE only after the annotation redirection=enabled',
  source: 'facts, statement 55',
  eras: IN_POD,
  needs: 'a control plane of our own',
};
