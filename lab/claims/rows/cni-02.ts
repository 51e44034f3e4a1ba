import { type Claim, IN_POD } from '../claim.ts';

/** See `statement`. */
export const cni02: Claim = {
  id: 'cni-02',
  statement: 'A new pod starts only after redirection works: no packet escapes',
  source: 'field notes',
  eras: IN_POD,
  needs: 'a pod whose first instruction connects',
};
