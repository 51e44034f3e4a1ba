import type { Claim } from '../claim.ts';
import { keepsVip } from '../checks/node-level.ts';

/** See `statement`. */
export const redirect01: Claim = {
  id: 'redirect-01',
  statement:
    'Outbound TCP of a captured pod meets 15001 with its original destination, the VIP kept',
  source: 'facts, statement 1',
  eras: ['geneve'],
  requests: ['far'],
  check: keepsVip,
};
