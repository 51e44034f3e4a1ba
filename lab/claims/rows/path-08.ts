import type { Claim } from '../claim.ts';

/** See `statement`. */
export const path08: Claim = {
  id: 'path-08',
  statement:
    'A request of a sidecar pair makes about three laps of a TCP/IP stack where no mesh makes one',
  source: 'field notes',
  eras: ['sidecar', 'inpod-redirect', 'none'],
  needs: 'a sidecar pair',
};
