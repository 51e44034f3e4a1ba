import type { Claim } from '../claim.ts';

/** See `statement`. */
export const l701: Claim = {
  id: 'l7-01',
  statement: 'Only a waypoint sees HTTP: splits, retries, time-outs and headers happen there',
  source: 'field notes',
  eras: ['waypoint'],
  needs: 'a waypoint',
};
