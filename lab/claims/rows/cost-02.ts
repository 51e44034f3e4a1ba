import type { Claim } from '../claim.ts';

/** See `statement`. */
export const cost02: Claim = {
  id: 'cost-02',
  statement: 'A service of one pod costs a sidecar hundreds of lines, ztunnel a dozen',
  source: 'field notes',
  eras: ['sidecar', 'inpod-redirect'],
  needs: 'a control plane of our own and a sidecar pair',
};
