import type { Claim } from '../claim.ts';
import { wrongAuthority } from '../checks/authority.ts';

/** See `statement`. */
export const redirect17: Claim = {
  id: 'redirect-17',
  statement: 'HBONE with an authority other than the destination is answered 400',
  source: 'facts, statement 17',
  eras: ['geneve'],
  changesLab: true,
  check: wrongAuthority,
};
