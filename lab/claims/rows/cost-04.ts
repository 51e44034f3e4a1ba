import type { Claim } from '../claim.ts';

/** See `statement`. */
export const cost04: Claim = {
  id: 'cost-04',
  statement: 'Ambient needs less CPU and memory than sidecars',
  source: 'field notes',
  eras: ['none', 'inpod-redirect', 'waypoint', 'sidecar'],
  needs: 'loads in many rounds: `npm run bench` measures it, with intervals',
};
