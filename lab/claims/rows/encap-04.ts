import { AMBIENT, type Claim } from '../claim.ts';
import { unreadableBetweenNodes } from '../checks/tunnels.ts';

/** See `statement`. */
export const encap04: Claim = {
  id: 'encap-04',
  statement: 'The payload is unreadable on every link between nodes',
  source: 'field notes',
  eras: AMBIENT,
  requests: ['far'],
  check: unreadableBetweenNodes,
};
