import { linesOfOneService } from '../checks/growth.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. What is generated needs no lab; it is asked with the other claims of sidecars. */
export const cost02: Claim = {
  id: 'cost-02',
  statement: 'A service of one pod costs a sidecar hundreds of lines, ztunnel a dozen',
  source: 'field notes',
  eras: ['sidecar'],
  check: linesOfOneService,
};
