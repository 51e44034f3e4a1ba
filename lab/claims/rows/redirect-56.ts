import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect56: Claim = {
  id: 'redirect-56',
  statement: 'With a waypoint the app sees its address, and its policy sees the client',
  source: 'facts, statement 56',
  eras: ['waypoint'],
  needs: 'a waypoint',
};
