import type { ScenarioRequest } from '../../../topologies/topology.ts';
import { HOST_PROBE_IPV6 } from '../../../dataplane/redirect/constants.ts';
import { checkSource } from '../../judge/check-client.ts';
import { checkLegs, checkQuiet } from '../../judge/check-path.ts';
import { checkSecurity } from '../../judge/check-security.ts';
import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { EvidenceMissing, settle, together } from '../finding.ts';

const over6 = (from: string, to: string): ScenarioRequest => {
  return { from, to, count: 1, ipFamily: 'IPv6' };
};

const REQUESTS = {
  mesh: over6('client', 'http://pod:far:8080/get'),
  plain: over6('stranger', 'http://pod:far:8080/get'),
  probe: over6('node2', 'http://pod:far:8080/get'),
  self: over6('far', 'http://self:8080/get'),
  loopback: over6('far', 'http://[::1]:8080/get'),
} as const;

/** In a world of both families: what is said of IPv4 (sources, probes, self) by IPv6 packets. */
export async function ipv6IsSymmetric(world: ClaimWorld): Promise<Finding> {
  return world.beside('dual', { ipFamilies: ['IPv4', 'IPv6'] }, async (aside) => {
    const seen = await aside.observing('ipv6', REQUESTS);
    const { facts } = seen;
    const legs = (name: keyof typeof REQUESTS, ...wanted: readonly string[]) =>
      checkLegs(facts, seen.path(name), wanted);
    const source = (name: keyof typeof REQUESTS, who: string) =>
      checkSource(facts, seen.path(name), who);
    const addresses = facts.connections.flatMap(({ client, server }) => [client, server]);
    const isV6 = seen.path('mesh').legs.every(({ to }) => to.address.startsWith('['));
    return together(
      settle(isV6 && addresses.length > 0, `the legs of the mesh pair are IPv6: ${isV6}`),
      legs('mesh', 'client -> ztunnel:15001', 'ztunnel -> far:15008 hbone', 'ztunnel -> far:8080'),
      checkSecurity(facts, seen.path('mesh'), 'mtls'),
      source('mesh', 'client'),
      legs('plain', 'stranger -> far:15006', 'ztunnel -> far:8080'),
      source('plain', 'stranger'),
      legs('probe', 'node2 -> far:8080'),
      source('probe', HOST_PROBE_IPV6),
      legs('self', 'far -> far:8080'),
      legs('loopback', 'far -> far:8080'),
      checkQuiet(facts, seen.path('self'), ['far.demo/eth0']),
    );
  });
}

/** What a machine behind a rerouted interface sends meets 15001, as if the pod had sent it. */
export function reroutedIsOutbound(world: ClaimWorld): Finding {
  const path = world.path('guestOut');
  const first = world.connection(path, 1);
  const at = first.sightings.find(({ interface: name }) => name === 'k6t-eth0');
  if (at === undefined) throw new EvidenceMissing('packets on the rerouted interface');
  const wanted = ['vm-guest -> ztunnel:15001', 'ztunnel -> far:15008 hbone', 'ztunnel -> far:8080'];
  return together(
    checkLegs(world.facts, path, wanted),
    checkSource(world.facts, path, 'vm'),
    checkSecurity(world.facts, path, 'mtls'),
  );
}
