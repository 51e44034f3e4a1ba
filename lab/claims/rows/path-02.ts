import type { Claim } from '../claim.ts';

/** See `statement`. */
export const path02: Claim = {
  id: 'path-02',
  statement: 'Inbound in the alpha: uplink, istioin, pistioin, 15008 or 15006 of ztunnel, app',
  source: 'field notes',
  eras: ['geneve'],
  needs: 'a check of the node-level redirect',
};
