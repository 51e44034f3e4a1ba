import type { Claim } from '../claim.ts';
import { plainTakesWaypoint } from '../checks/authority.ts';

/** See `statement`. */
export const redirect19: Claim = {
  id: 'redirect-19',
  statement: 'Plain text to a workload with a waypoint takes the way through it',
  source: 'facts, statement 19',
  eras: ['geneve'],
  changesLab: true,
  check: plainTakesWaypoint,
};
