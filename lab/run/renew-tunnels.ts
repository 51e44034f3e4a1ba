import { finishInPlace } from '../world/in-place.ts';
import type { Lab } from '../world/lab.ts';

const RENEW = ['curl', '-s', '-X', 'POST', 'http://127.0.0.1:15000/tunnels/renew'] as const;

/**
 * Starts sidecars anew, and asks every ztunnel of a lab to leave its pooled tunnels to their streams: what is requested
 * afterwards begins with a handshake that a recording can see. A ztunnel that does not know the
 * request (a foreign one) or does not run is passed over; the facts then say which secrets are missing.
 */
export async function renewTunnels(lab: Lab): Promise<void> {
  await lab.renewSidecars();
  const asked = lab.plan.nodes.map(({ name }) =>
    finishInPlace(lab, `ztunnel/${name}`, RENEW, { timeoutMs: 5_000 }),
  );
  await Promise.all(asked);
}
