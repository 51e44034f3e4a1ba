import { injectedPods } from '../plan/sidecars.ts';
import { finishInPlace } from '../world/in-place.ts';
import type { Lab } from '../world/lab.ts';

/**
 * Starts sidecars anew, and asks every ztunnel of a lab to leave its pooled tunnels to their streams: what is requested
 * afterwards begins with a handshake that a recording can see. A ztunnel that does not know the
 * request (a foreign one) or does not run is passed over; the facts then say which secrets are missing.
 */
export async function renewTunnels(lab: Lab): Promise<void> {
  await lab.renewSidecars();
  await askZtunnels(lab, '/tunnels/renew');
}

/**
 * Has ztunnels write leg records of connections that are still open: sidecars keep theirs for later
 * requests. Nothing in a lab without sidecars.
 */
export async function writeOpenLegs(lab: Lab): Promise<void> {
  if (injectedPods(lab.plan).length > 0) await askZtunnels(lab, '/legs/open');
}

async function askZtunnels(lab: Lab, path: string): Promise<void> {
  const argv = ['curl', '-s', '-X', 'POST', `http://127.0.0.1:15000${path}`] as const;
  const asked = lab.plan.nodes.map(({ name }) =>
    finishInPlace(lab, `ztunnel/${name}`, argv, { timeoutMs: 5_000 }),
  );
  await Promise.all(asked);
}
