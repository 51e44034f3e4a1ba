import { toldApartByUser } from '../checks/sidecar-pods.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. */
export const redirect62: Claim = {
  id: 'redirect-62',
  statement: 'Packets of uid or gid 1337 are not captured, others are',
  source: 'facts, statement 62',
  eras: ['sidecar'],
  check: toldApartByUser,
};
