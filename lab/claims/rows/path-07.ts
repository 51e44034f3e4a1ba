import type { Claim } from '../claim.ts';

/** See `statement`. */
export const path07: Claim = {
  id: 'path-07',
  statement: 'Outside client, gateway, ztunnel, waypoint if any, ztunnel, app',
  source: 'field notes',
  eras: ['inpod-redirect', 'waypoint'],
  needs: 'a gateway and a waypoint',
};
