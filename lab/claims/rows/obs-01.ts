import { type Claim, IN_POD } from '../claim.ts';
import { accessLogFields } from '../checks/policies.ts';

/** See `statement`. */
export const obs01: Claim = {
  id: 'obs-01',
  statement: 'ztunnel logs the CONNECT with address and identity of the peer',
  source: 'field notes',
  eras: IN_POD,
  requests: ['far'],
  check: accessLogFields,
};
