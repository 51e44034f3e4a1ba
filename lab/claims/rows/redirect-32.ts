import { type Claim, IN_POD } from '../claim.ts';
import { nodeUntouched } from '../checks/pod-state.ts';

/** See `statement`. */
export const redirect32: Claim = {
  id: 'redirect-32',
  statement: 'The node has no rule of the redirect but the one for probes',
  source: 'facts, statement 32',
  eras: IN_POD,
  changesLab: true,
  check: nodeUntouched,
};
