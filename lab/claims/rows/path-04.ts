import type { Claim } from '../claim.ts';

/** See `statement`. */
export const path04: Claim = {
  id: 'path-04',
  statement: 'An ambient client reaches a sidecar server at its 15006, then the app',
  source: 'field notes',
  eras: ['inpod-redirect', 'sidecar'],
  needs: 'a sidecar pair',
};
