import type { Claim } from '../claim.ts';
import { fastPathIsSilent } from '../checks/node-level.ts';

/** See `statement`. */
export const redirect20: Claim = {
  id: 'redirect-20',
  statement: 'A same-node HBONE pair never shows 15008 on a wire',
  source: 'facts, statement 20',
  eras: ['geneve'],
  requests: ['near', 'far'],
  check: fastPathIsSilent,
};
