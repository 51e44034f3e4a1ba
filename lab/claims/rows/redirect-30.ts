import { type Claim, IN_POD } from '../claim.ts';

/** See `statement`. */
export const redirect30: Claim = {
  id: 'redirect-30',
  statement: 'What enters by a rerouted virtual interface counts as outbound',
  source: 'facts, statement 30',
  eras: IN_POD,
  needs: 'annotated pods in the world of claims',
};
