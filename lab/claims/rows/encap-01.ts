import { AMBIENT, type Claim, type Expectation } from '../claim.ts';
import { sameNodeEncapsulation } from '../checks/tunnels.ts';

const IN_POD_HAS_NONE: Expectation = {
  outcome: 'refuted',
  because:
    'true of the node-level design; in-pod there is no Geneve, the same-node pair speaks HBONE too',
};

/** See `statement`. */
export const encap01: Claim = {
  id: 'encap-01',
  statement: 'Same-node pod traffic is carried by Geneve, other-node traffic by HBONE',
  source: 'field notes',
  eras: AMBIENT,
  requests: ['near', 'far'],
  expected: {
    'inpod-tproxy': IN_POD_HAS_NONE,
    'inpod-redirect': IN_POD_HAS_NONE,
    'inpod-nft': IN_POD_HAS_NONE,
  },
  check: sameNodeEncapsulation,
};
