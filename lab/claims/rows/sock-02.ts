import { type Claim, IN_POD } from '../claim.ts';

/** See `statement`. */
export const sock02: Claim = {
  id: 'sock-02',
  statement: 'The namespace is handed over as a descriptor and entered only to make a socket',
  source: 'field notes',
  eras: IN_POD,
  needs: "a recording of descriptors passed on the agent's socket",
};
