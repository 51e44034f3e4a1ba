import { toldApartByUser } from '../checks/sidecar-pods.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. */
export const rule06: Claim = {
  id: 'rule-06',
  statement: 'The own traffic of a sidecar is told apart by uid and gid 1337',
  source: 'field notes',
  eras: ['sidecar'],
  check: toldApartByUser,
};
