import { AMBIENT, type Claim } from '../claim.ts';
import { sidecarsUnreadable } from '../checks/sidecars.ts';
import { unreadableBetweenNodes } from '../checks/tunnels.ts';

/** See `statement`. */
export const encap04: Claim = {
  id: 'encap-04',
  statement: 'The payload is unreadable on every link between nodes',
  source: 'field notes',
  eras: [...AMBIENT, 'sidecar'],
  requests: ['far', 'sidecarPair', 'sidecarByIp'],
  check: (world) =>
    world.era === 'sidecar' ? sidecarsUnreadable(world) : unreadableBetweenNodes(world),
};
