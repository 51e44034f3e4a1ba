import { AMBIENT, type Claim } from '../claim.ts';
import { sameNodeEncapsulation } from '../checks/tunnels.ts';

/** See `statement`. */
export const encap01: Claim = {
  id: 'encap-01',
  statement: 'Same-node pod traffic is carried by Geneve, other-node traffic by HBONE',
  source: 'field notes',
  eras: AMBIENT,
  requests: ['near', 'far'],
  expected: {
    outcome: 'refuted',
    because:
      'true of the node-level design; in-pod redirection has no Geneve at all, the same-node pair speaks HBONE too',
  },
  check: sameNodeEncapsulation,
};
