import type { Claim } from '../claim.ts';
import { vniOfDirections } from '../checks/tunnels.ts';

/** See `statement`. */
export const encap03: Claim = {
  id: 'encap-03',
  statement: 'Geneve is UDP 6081 with a VNI a direction and an inner Ethernet frame',
  source: 'field notes',
  eras: ['geneve'],
  requests: ['far', 'near'],
  check: vniOfDirections,
};
