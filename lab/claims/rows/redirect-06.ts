import type { Claim } from '../claim.ts';
import { nodeIsFree } from '../checks/node-level.ts';

/** See `statement`. */
export const redirect06: Claim = {
  id: 'redirect-06',
  statement: 'A process of the node reaches a captured pod without capture',
  source: 'facts, statement 6',
  eras: ['geneve'],
  requests: ['probe'],
  check: nodeIsFree,
};
