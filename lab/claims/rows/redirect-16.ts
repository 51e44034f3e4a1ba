import type { Claim } from '../claim.ts';
import { replacingDropsTraffic } from '../checks/node-lives.ts';

/** See `statement`. */
export const redirect16: Claim = {
  id: 'redirect-16',
  statement: 'Replacing the active ztunnel drops traffic for a moment',
  source: 'facts, statement 16',
  eras: ['geneve'],
  changesLab: true,
  check: replacingDropsTraffic,
};
