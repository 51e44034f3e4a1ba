import type { Claim } from '../claim.ts';
import { outboundOfAlpha } from '../checks/node-level.ts';

/** See `statement`. */
export const path01: Claim = {
  id: 'path-01',
  statement: 'Outbound in the alpha: pod, istioout, pistioout, 15001 of ztunnel',
  source: 'field notes',
  eras: ['geneve'],
  requests: ['far'],
  check: outboundOfAlpha,
};
