import type { Claim } from '../claim.ts';

/** See `statement`. */
export const path06: Claim = {
  id: 'path-06',
  statement: 'A sidecar client passes the waypoint of an ambient server',
  source: 'field notes',
  eras: ['inpod-redirect', 'sidecar', 'waypoint'],
  needs: 'a waypoint',
};
