import type { Claim } from '../claim.ts';
import { openThenClosed } from '../checks/node-lives.ts';

/** See `statement`. */
export const life01: Claim = {
  id: 'life-01',
  statement: 'Removing ztunnel fails closed from 1.19 on and open in 1.18',
  source: 'field notes',
  eras: ['geneve'],
  changesLab: true,
  check: openThenClosed,
};
