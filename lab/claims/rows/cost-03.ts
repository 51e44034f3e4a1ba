import { latencyOrder } from '../checks/order.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. Its labs are its own; it is asked with the other claims of sidecars. */
export const cost03: Claim = {
  id: 'cost-03',
  statement: 'Ambient adds less latency than sidecars',
  source: 'field notes',
  eras: ['sidecar'],
  check: latencyOrder,
};
