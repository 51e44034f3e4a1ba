import { type Claim, IN_POD } from '../claim.ts';
import { sourceAndTunnel } from '../checks/pairs.ts';

/** See `statement`. */
export const redirect21: Claim = {
  id: 'redirect-21',
  statement:
    'A pair in the mesh shows only TLS to 15008 on the veth, and the server sees the client',
  source: 'facts, statement 21',
  eras: IN_POD,
  requests: ['far'],
  check: sourceAndTunnel,
};
