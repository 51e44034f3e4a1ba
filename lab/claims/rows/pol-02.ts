import type { Claim } from '../claim.ts';
import { protocolFlips } from '../checks/pod-state.ts';

/** See `statement`. */
export const pol02: Claim = {
  id: 'pol-02',
  statement: 'The protocol of a workload entry turns from TCP to HBONE when its pod is enrolled',
  source: 'field notes',
  eras: ['inpod-redirect'],
  changesLab: true,
  check: protocolFlips,
};
