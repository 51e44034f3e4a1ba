import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect57: Claim = {
  id: 'redirect-57',
  statement: 'Traffic to a VIP through a waypoint keeps the VIP in the authority',
  source: 'facts, statement 57',
  eras: ['waypoint'],
  needs: 'a waypoint',
};
