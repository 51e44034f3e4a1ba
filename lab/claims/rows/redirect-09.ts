import type { Claim } from '../claim.ts';
import { onlyFirstSyn } from '../checks/node-level.ts';

/** See `statement`. */
export const redirect09: Claim = {
  id: 'redirect-09',
  statement: 'Only the first SYN of a captured connection is encapsulated',
  source: 'facts, statement 9',
  eras: ['geneve'],
  requests: ['far', 'near', 'plainIn', 'plainOut'],
  check: onlyFirstSyn,
};
