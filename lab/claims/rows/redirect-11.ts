import type { Claim } from '../claim.ts';
import { needsNoRpFilter } from '../checks/node-rules.ts';

/** See `statement`. */
export const redirect11: Claim = {
  id: 'redirect-11',
  statement: 'rp_filter has to be 0 on the host and in the namespace of ztunnel',
  source: 'facts, statement 11',
  eras: ['geneve'],
  changesLab: true,
  check: needsNoRpFilter,
};
