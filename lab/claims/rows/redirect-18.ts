import type { Claim } from '../claim.ts';
import { bypassRefused } from '../checks/authority.ts';

/** See `statement`. */
export const redirect18: Claim = {
  id: 'redirect-18',
  statement: 'HBONE to a workload with a waypoint from another client is answered 401',
  source: 'facts, statement 18',
  eras: ['geneve'],
  changesLab: true,
  check: bypassRefused,
};
