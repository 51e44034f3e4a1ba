import type { Claim } from '../claim.ts';
import { udpPassesBy } from '../checks/node-level.ts';

/** See `statement`. */
export const redirect07: Claim = {
  id: 'redirect-07',
  statement: 'UDP is never captured but for DNS',
  source: 'facts, statement 7',
  eras: ['geneve'],
  requests: ['udp', 'far'],
  changesLab: true,
  check: udpPassesBy,
};
