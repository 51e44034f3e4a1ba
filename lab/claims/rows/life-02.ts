import type { Claim } from '../claim.ts';
import { rollingKeepsNew } from '../checks/rolling.ts';

/** See `statement`. */
export const life02: Claim = {
  id: 'life-02',
  statement: 'Restarting ztunnel keeps new connections working and drains old ones',
  source: 'field notes',
  eras: ['inpod-redirect'],
  changesLab: true,
  check: rollingKeepsNew,
};
