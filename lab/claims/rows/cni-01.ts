import { type Claim, IN_POD } from '../claim.ts';
import { enrolsRunningPods } from '../checks/lives.ts';

/** See `statement`. */
export const cni01: Claim = {
  id: 'cni-01',
  statement: 'The agent enrols and releases running pods without restarting the app',
  source: 'field notes',
  eras: IN_POD,
  changesLab: true,
  check: enrolsRunningPods,
};
