import { conntrackPorts } from '../checks/sidecar-pods.ts';
import type { Claim } from '../claim.ts';

/** See `statement`. */
export const rule08: Claim = {
  id: 'rule-08',
  statement: 'conntrack in a sidecar pod shows reply ports 15006 inbound and 15001 outbound',
  source: 'field notes',
  eras: ['sidecar'],
  check: conntrackPorts,
};
