import { type Claim, IN_POD } from '../claim.ts';
import { noServerName } from '../checks/tunnels.ts';

/** See `statement`. */
export const redirect45: Claim = {
  id: 'redirect-45',
  statement:
    'HBONE is CONNECT in mutual TLS on 15008 without SNI, certificate by original destination',
  source: 'facts, statement 45',
  eras: IN_POD,
  requests: ['far'],
  check: noServerName,
};
