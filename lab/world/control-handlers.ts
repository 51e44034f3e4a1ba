import type { ControlHandlers } from './control-server.ts';
import { LabError } from './errors.ts';
import { makeRequest } from './requests.ts';
import { statusOf } from './world-status.ts';
import type { World } from './world.ts';

/**
 * What the supervisor does for its clients.
 *
 * @param end Ends the supervisor, and with it the lab, after the answer has gone out.
 */
export function createHandlers(world: World, end: () => void): ControlHandlers {
  return {
    plan: () => world.plan,
    status: () => statusOf(world, () => false),
    enrol: () => notYet(),
    leave: () => notYet(),
    request: ({ request, options }) =>
      makeRequest(world.plan, world.observations, request, options),
    observations: ({ canary }) => world.observations.list(canary),
    startCapture: () => notYet(),
    stopCapture: () => notYet(),
    kill: () => notYet(),
    restart: () => notYet(),
    drift: () => world.drift(),
    down: () => {
      world.state = 'stopping';
      end();
      return {};
    },
  };
}

function notYet(): never {
  throw new LabError('LAB_NOT_READY', 'Cannot do this: the lab has no mesh');
}
