import type { Claim } from '../claim.ts';

/** See `statement`. */
export const l702: Claim = {
  id: 'l7-02',
  statement: 'Going round the waypoint goes round its policy',
  source: 'field notes',
  eras: ['waypoint'],
  needs: 'a waypoint',
};
