import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect59: Claim = {
  id: 'redirect-59',
  statement: 'Requests that go round the waypoint are rejected by ztunnel',
  source: 'facts, statement 59',
  eras: ['waypoint'],
  needs: 'a waypoint',
};
