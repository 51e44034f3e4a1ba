import { threeLaps } from '../checks/sidecars.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. The world of sidecars has pods without a mesh and in ambient beside them. */
export const path08: Claim = {
  id: 'path-08',
  statement:
    'A request of a sidecar pair makes about three laps of a TCP/IP stack where no mesh makes one',
  source: 'field notes',
  eras: ['sidecar'],
  requests: ['plainPair', 'sidecarPair', 'ambientPair'],
  check: threeLaps,
};
