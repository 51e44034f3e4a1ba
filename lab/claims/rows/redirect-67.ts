import { dnsIsCaptured } from '../checks/sidecar-modes.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect67: Claim = {
  id: 'redirect-67',
  statement: 'DNS capture: 53 of the app meets 15053, that of the agent does not',
  source: 'facts, statement 67',
  eras: ['sidecar'],
  check: dnsIsCaptured,
};
