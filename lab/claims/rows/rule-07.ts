import { seenBehindSidecar } from '../checks/sidecar-pods.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. */
export const rule07: Claim = {
  id: 'rule-07',
  statement: 'The app behind a sidecar sees 127.0.0.6 as its client',
  source: 'field notes',
  eras: ['sidecar'],
  requests: ['sidecarPair'],
  check: seenBehindSidecar,
};
