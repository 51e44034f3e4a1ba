import type { Claim } from '../claim.ts';
import { reroutedIsOutbound } from '../checks/families.ts';

/** See `statement`. */
export const redirect30: Claim = {
  id: 'redirect-30',
  statement: 'What enters by a rerouted virtual interface counts as outbound',
  source: 'facts, statement 30',
  eras: ['inpod-redirect', 'inpod-nft'],
  requests: ['guestOut'],
  check: reroutedIsOutbound,
};
