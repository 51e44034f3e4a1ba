import { checkSource } from '../../judge/check-client.ts';
import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { together } from '../finding.ts';
import { encryptedAtThePod } from './tunnels.ts';

/** Only TLS to 15008 at the pods' uplinks, and still the server sees the client's address. */
export function sourceAndTunnel(world: ClaimWorld): Finding {
  return together(encryptedAtThePod(world), checkSource(world.facts, world.path('far'), 'client'));
}
