import type { Claim } from '../claim.ts';
import { rulesAreTheEras } from '../checks/pod-state.ts';

/** See `statement`. */
export const rule01: Claim = {
  id: 'rule-01',
  statement: 'The rules in an enrolled pod are those of the 1.21 listing',
  source: 'field notes',
  eras: ['inpod-tproxy'],
  check: rulesAreTheEras,
};
