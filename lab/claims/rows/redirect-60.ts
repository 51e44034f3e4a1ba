import { type Claim, IN_POD } from '../claim.ts';
import { rulesAreTheEras } from '../checks/pod-state.ts';

/** See `statement`. */
export const redirect60: Claim = {
  id: 'redirect-60',
  statement: 'The redirect of a pod is that of the golden files',
  source: 'facts, statement 60',
  eras: IN_POD,
  check: rulesAreTheEras,
};
