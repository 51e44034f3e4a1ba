import { onlyNatRules } from '../checks/sidecar-pods.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. */
export const rule05: Claim = {
  id: 'rule-05',
  statement: 'A sidecar pod has NAT rules only',
  source: 'field notes',
  eras: ['sidecar'],
  check: onlyNatRules,
};
