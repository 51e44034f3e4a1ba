import { type Claim, IN_POD } from '../claim.ts';
import { nodeUntouched } from '../checks/pod-state.ts';

/** See `statement`. */
export const rule03: Claim = {
  id: 'rule-03',
  statement: 'In-pod redirection leaves the node almost untouched: one SNAT rule and one set',
  source: 'field notes',
  eras: IN_POD,
  changesLab: true,
  check: nodeUntouched,
};
