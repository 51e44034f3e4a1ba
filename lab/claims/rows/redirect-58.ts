import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect58: Claim = {
  id: 'redirect-58',
  statement: 'With an unknown waypoint traffic flows without one',
  source: 'facts, statement 58',
  eras: ['waypoint'],
  needs: 'a control plane of our own',
};
