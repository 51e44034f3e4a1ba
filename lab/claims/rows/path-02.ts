import type { Claim } from '../claim.ts';
import { inboundOfAlpha } from '../checks/node-level.ts';

/** See `statement`. */
export const path02: Claim = {
  id: 'path-02',
  statement: 'Inbound in the alpha: uplink, istioin, pistioin, 15008 or 15006 of ztunnel, app',
  source: 'field notes',
  eras: ['geneve'],
  requests: ['far', 'plainIn'],
  check: inboundOfAlpha,
};
