import { type Claim, IN_POD } from '../claim.ts';

/** See `statement`. */
export const obs02: Claim = {
  id: 'obs-02',
  statement: 'Connection metrics carry workloads, principals and security policy',
  source: 'field notes',
  eras: IN_POD,
  needs: 'metrics of ztunnel',
};
