import { type Claim, IN_POD } from '../claim.ts';
import { selfIsFree } from '../checks/plain.ts';

/** See `statement`. */
export const redirect25: Claim = {
  id: 'redirect-25',
  statement: 'A pod reaches its own address and 127.0.0.1 without capture',
  source: 'facts, statement 25',
  eras: IN_POD,
  requests: ['self', 'loopback'],
  check: selfIsFree,
};
