import { type Claim, IN_POD } from '../claim.ts';
import { replaysAllPods } from '../checks/handover.ts';

/** See `statement`. */
export const redirect41: Claim = {
  id: 'redirect-41',
  statement: 'A ztunnel that connects to the agent is told of all pods before SnapshotSent',
  source: 'facts, statement 41',
  eras: IN_POD,
  changesLab: true,
  check: replaysAllPods,
};
