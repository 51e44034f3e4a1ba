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
  const ready = (): World => {
    if (world.state === 'ready') return world;
    throw new LabError(
      'LAB_STARTING',
      `Cannot do this: lab "${world.plan.lab}" is ${world.state}, it has to be ready`,
    );
  };
  return {
    plan: () => world.plan,
    status: () => statusOf(world),
    enrol: ({ pod }) => ready().enrol(pod),
    changePolicies: async (change) => {
      await ready().changePolicies(change);
      return {};
    },
    changePod: (change) => ready().changePod(change),
    policyRules: ({ node }) => world.policyRules(node),
    leave: ({ pod }) => ready().leave(pod),
    request: ({ request, options }) =>
      makeRequest(ready().plan, world.observations, request, options),
    observations: ({ canary }) => world.observations.list(canary),
    startCapture: async ({ directory, options }) => {
      await ready().startCapture(directory, options);
      return {};
    },
    stopCapture: () => ready().stopCapture(),
    kill: ({ process, node, signal }) => {
      ready().kill(process, node, signal as NodeJS.Signals);
      return {};
    },
    restart: async ({ process, node }) => {
      await ready().restart(process, node);
      return {};
    },
    surge: async ({ node }) => {
      await ready().surge(node);
      return {};
    },
    retire: async ({ node }) => {
      await ready().retire(node);
      return {};
    },
    rotateSidecars: async () => {
      await ready().rotateSidecars();
      return {};
    },
    renewSidecars: async () => {
      await ready().renewSidecars();
      return {};
    },
    drift: () => world.drift(),
    down: async () => {
      await world.stop();
      end();
      return {};
    },
  };
}
