import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect30: Claim = {
  id: 'redirect-30',
  statement: 'What enters by a rerouted virtual interface counts as outbound',
  source: 'facts, statement 30',
  eras: ['inpod-redirect', 'inpod-nft'],
  needs: 'annotated pods in the world of claims',
};
