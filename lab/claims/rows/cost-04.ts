import { costOrder } from '../checks/order.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. Its labs are its own; it is asked with the other claims of sidecars. */
export const cost04: Claim = {
  id: 'cost-04',
  statement: 'Ambient needs less CPU and memory than sidecars',
  source: 'field notes',
  eras: ['sidecar'],
  check: costOrder,
};
