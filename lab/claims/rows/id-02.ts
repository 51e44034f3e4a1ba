import { type Claim, IN_POD } from '../claim.ts';

/** See `statement`. */
export const id02: Claim = {
  id: 'id-02',
  statement: 'ztunnel gets certificates only for identities of pods on its node',
  source: 'field notes',
  eras: IN_POD,
  needs: 'a certificate authority that knows which pod is where',
};
