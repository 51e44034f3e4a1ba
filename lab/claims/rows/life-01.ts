import type { Claim } from '../claim.ts';

/** See `statement`. */
export const life01: Claim = {
  id: 'life-01',
  statement: 'Removing ztunnel fails closed from 1.19 on and open in 1.18',
  source: 'field notes',
  eras: ['geneve'],
  needs: 'a check of the node-level redirect',
};
