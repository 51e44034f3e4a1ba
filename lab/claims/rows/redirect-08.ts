import type { Claim } from '../claim.ts';
import { selfStaysInside } from '../checks/node-level.ts';

/** See `statement`. */
export const redirect08: Claim = {
  id: 'redirect-08',
  statement: 'A pod reaches its own address without ztunnel',
  source: 'facts, statement 8',
  eras: ['geneve'],
  requests: ['self', 'plainIn'],
  check: selfStaysInside,
};
