import { type Claim, IN_POD } from '../claim.ts';
import { ipv6IsSymmetric } from '../checks/families.ts';

/** See `statement`. */
export const redirect31: Claim = {
  id: 'redirect-31',
  statement: 'The IPv6 rules behave as those of IPv4',
  source: 'facts, statement 31',
  eras: IN_POD,
  changesLab: true,
  check: ipv6IsSymmetric,
};
