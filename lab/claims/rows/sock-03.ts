import { type Claim, IN_POD } from '../claim.ts';
import { ownSetOfPorts } from '../checks/pod-state.ts';

/** See `statement`. */
export const sock03: Claim = {
  id: 'sock-03',
  statement: 'Each pod has its own set of ports; removing one leaves the others',
  source: 'field notes',
  eras: IN_POD,
  changesLab: true,
  check: ownSetOfPorts,
};
