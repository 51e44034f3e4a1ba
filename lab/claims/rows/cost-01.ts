import type { Claim } from '../claim.ts';

/** See `statement`. */
export const cost01: Claim = {
  id: 'cost-01',
  statement: 'Configuration grows with n² for sidecars and with n for waypoints',
  source: 'field notes',
  eras: ['sidecar', 'waypoint'],
  needs: 'a control plane of our own',
};
