import { type Claim, IN_POD } from '../claim.ts';
import { connectHeaders } from '../checks/tunnels.ts';

/** See `statement`. */
export const redirect48: Claim = {
  id: 'redirect-48',
  statement: 'CONNECT carries :authority, forwarded, baggage and traceparent',
  source: 'facts, statement 48',
  eras: IN_POD,
  requests: ['far'],
  check: connectHeaders,
};
