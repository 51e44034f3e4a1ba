import type { Claim } from '../claim.ts';
import { applyTwice } from '../checks/pod-state.ts';

/** See `statement`. */
export const redirect33: Claim = {
  id: 'redirect-33',
  statement: 'A second application changes nothing, a raw one fails at line 2',
  source: 'facts, statement 33',
  eras: ['inpod-tproxy', 'inpod-redirect'],
  changesLab: true,
  check: applyTwice,
};
