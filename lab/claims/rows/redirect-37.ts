import { type Claim, IN_POD } from '../claim.ts';

/** See `statement`. */
export const redirect37: Claim = {
  id: 'redirect-37',
  statement: 'Traffic of a terminating pod works until its last process ends',
  source: 'facts, statement 37',
  eras: IN_POD,
  needs: 'deletion of pods',
};
