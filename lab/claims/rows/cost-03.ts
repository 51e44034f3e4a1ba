import type { Claim } from '../claim.ts';

/** See `statement`. */
export const cost03: Claim = {
  id: 'cost-03',
  statement: 'Ambient adds less latency than sidecars',
  source: 'field notes',
  eras: ['none', 'inpod-redirect', 'waypoint', 'sidecar'],
  needs: 'loads in many rounds: `npm run bench` measures it, with intervals',
};
