import { type Claim, IN_POD } from '../claim.ts';
import { probeBypasses } from '../checks/plain.ts';

/** See `statement`. */
export const redirect23: Claim = {
  id: 'redirect-23',
  statement: 'The probe of the node arrives as 169.254.7.127 and meets no ztunnel',
  source: 'facts, statement 23',
  eras: IN_POD,
  requests: ['probe'],
  check: probeBypasses,
};
