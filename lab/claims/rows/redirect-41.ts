import { type Claim, IN_POD } from '../claim.ts';

/** See `statement`. */
export const redirect41: Claim = {
  id: 'redirect-41',
  statement: 'A reconnect replays all pods before SnapshotSent; others are stopped',
  source: 'facts, statement 41',
  eras: IN_POD,
  needs: "a ztunnel of the check at the agent's socket",
};
