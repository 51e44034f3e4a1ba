import type { Claim } from '../claim.ts';
import { table101NeedsHostRoute } from '../checks/node-rules.ts';

/** See `statement`. */
export const redirect12: Claim = {
  id: 'redirect-12',
  statement: 'Table 101 needs its host route because the outer packet inherits the mark',
  source: 'facts, statement 12',
  eras: ['geneve'],
  changesLab: true,
  check: table101NeedsHostRoute,
};
