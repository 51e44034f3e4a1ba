import { AMBIENT, type Claim } from '../claim.ts';
import { hboneLayers } from '../checks/tunnels.ts';

/** See `statement`. */
export const encap02: Claim = {
  id: 'encap-02',
  statement: 'HBONE is TCP, TLS 1.3 with both certificates, HTTP/2 and CONNECT, on port 15008',
  source: 'field notes',
  eras: AMBIENT,
  requests: ['far'],
  check: hboneLayers,
};
