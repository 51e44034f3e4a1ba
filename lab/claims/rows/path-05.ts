import { sidecarToAmbient } from '../checks/sidecars.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. */
export const path05: Claim = {
  id: 'path-05',
  statement: 'A sidecar client reaches an ambient server through ztunnel, without a waypoint',
  source: 'field notes',
  eras: ['sidecar'],
  requests: ['sidecarToAmbient', 'oldToAmbient'],
  check: sidecarToAmbient,
};
