import type { Claim } from '../claim.ts';
import { openThenClosed } from '../checks/node-lives.ts';

/** See `statement`. */
export const redirect15: Claim = {
  id: 'redirect-15',
  statement: 'Without a ready ztunnel 1.18 sends directly and 1.19 times out',
  source: 'facts, statement 15',
  eras: ['geneve'],
  changesLab: true,
  check: openThenClosed,
};
