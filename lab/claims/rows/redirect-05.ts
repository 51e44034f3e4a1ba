import type { Claim } from '../claim.ts';
import { plainKeepsSource } from '../checks/node-level.ts';

/** See `statement`. */
export const redirect05: Claim = {
  id: 'redirect-05',
  statement: 'An uncaptured client reaches 15006 of a captured server, source kept',
  source: 'facts, statement 5',
  eras: ['geneve'],
  requests: ['plainIn', 'plainNear'],
  check: plainKeepsSource,
};
