import type { Connection, Sighting } from '../../facts/facts.ts';
import { checkEncryptedBetween } from '../../judge/check-encryption.ts';
import { checkLegs } from '../../judge/check-path.ts';
import { checkIdentities, checkSecurity } from '../../judge/check-security.ts';
import { framesOf, lackOfPath } from '../../judge/evidence.ts';
import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { couldNotRun, EvidenceMissing, settle, together } from '../finding.ts';
import type { ClaimRequestName } from '../requests.ts';

const FAR_IDENTITIES = {
  client: 'spiffe://cluster.local/ns/demo/sa/client',
  server: 'spiffe://cluster.local/ns/demo/sa/far',
};

interface Encapsulated {
  readonly vni: number;
  readonly sighting: Sighting;
  readonly inside: number;
  readonly bare: number;
  readonly firstFrame: number;
}

/** Connections of which frames were inside Geneve, on every interface that shows it. */
function insideGeneve(world: ClaimWorld): readonly Encapsulated[] {
  return world.facts.connections.flatMap(({ sightings }) =>
    sightings.flatMap((sighting) =>
      [sighting.tunnel, sighting.replyTunnel].flatMap((tunnel) => {
        const geneve = tunnel?.layers.find(({ kind }) => kind === 'geneve');
        if (tunnel === undefined || geneve === undefined) return [];
        const { frames: inside, bareFrames: bare, firstFrame } = tunnel;
        return [{ vni: geneve.vni, sighting, inside, bare, firstFrame }];
      }),
    ),
  );
}

const framesInGeneve = (seen: readonly Encapsulated[]) =>
  seen.map(({ sighting: { file }, firstFrame }) => ({ file, frames: [firstFrame] }));

/** Same-node traffic by Geneve: packets of the encapsulation on any interface, HBONE beside it. */
export function sameNodeEncapsulation(world: ClaimWorld): Finding {
  const geneve = insideGeneve(world);
  const near = world.tunnel(world.path('near'));
  const far = world.tunnel(world.path('far'));
  if (far === undefined) throw new EvidenceMissing('HBONE between nodes (positive control)');
  const isSo = geneve.length > 0 && near === undefined;
  const ids = new Set(geneve.map(({ sighting }) => sighting.client)).size;
  const text =
    `${ids} connections seen in Geneve; same node: ` +
    `${near === undefined ? 'no HBONE' : 'HBONE'}, other node: HBONE`;
  const evidence = geneve.map(
    ({ vni, sighting, inside, bare }) =>
      `VNI ${vni} on ${sighting.netns}/${sighting.interface}: ${sighting.client} → ` +
      `${sighting.server}, ${inside} of its client's frames inside, ${bare} bare`,
  );
  const frames = [...framesInGeneve(geneve), ...framesOf((near ?? far).sightings)];
  return settle(isSo, text, { evidence, frames });
}

/** Geneve carries a VNI a direction, as its headers were decoded. */
export function vniOfDirections(world: ClaimWorld): Finding {
  const geneve = insideGeneve(world);
  const vnis = [...new Set(geneve.map(({ vni }) => vni))].sort((a, b) => a - b);
  const text = `VNIs on the wire: ${vnis.join(' and ') || 'none'}`;
  return settle(vnis.join() === '1000,1001', text, { frames: framesInGeneve(geneve) });
}

/** TLS 1.3 mutual, HTTP/2, CONNECT with an authority, on 15008. */
export function hboneLayers(world: ClaimWorld): Finding {
  const path = world.path('far');
  const tunnel = world.tunnel(path);
  if (tunnel === undefined) return settle(false, 'the request has no HBONE leg');
  const { tls, server } = tunnel;
  const stream = path.legs.find(({ hbone }) => hbone)?.hbone?.stream;
  const isSo =
    server.endsWith(':15008') &&
    tls?.version === 'TLS 1.3' &&
    tls.alpn === 'h2' &&
    stream?.method === 'CONNECT' &&
    stream.authority !== undefined;
  const text = `${tls?.version} ${tls?.alpn} ${stream?.method} ${stream?.authority} → ${stream?.status} at ${server}`;
  const layers = settle(isSo, text, { frames: framesOf(tunnel.sightings.slice(0, 2)) });
  return together(layers, checkSecurity(world.facts, path, 'mtls'));
}

/** No packet between the nodes carries the canary in clear, and it is found where it should be. */
export function unreadableBetweenNodes(world: ClaimWorld): Finding {
  return together(checkEncryptedBetween(world.facts, world.path('far'), ['node1', 'node2']));
}

/** On the pods' own uplinks an HBONE pair shows nothing but TLS to 15008. */
export function encryptedAtThePod(world: ClaimWorld): Finding {
  const path = world.path('far');
  const lack = lackOfPath(world.facts, path);
  if (lack !== undefined) return couldNotRun(lack);
  const onPods = (connection: Connection) =>
    connection.sightings.filter(
      ({ netns, interface: name }) =>
        name === 'eth0' && ['client.demo', 'far.demo'].includes(netns),
    );
  const seen = path.legs.flatMap(({ connection }) => {
    const found = world.facts.connections[connection];
    return found === undefined ? [] : onPods(found).map((sighting) => ({ found, sighting }));
  });
  const clear = path.canary.clear.filter(({ interface: name }) => name === 'eth0');
  const others = seen.filter(({ found }) => found.tls?.state !== 'decrypted');
  const isSo = seen.length >= 2 && clear.length === 0 && others.length === 0;
  const text = `${seen.length} sightings at eth0 of both pods, ${others.length} of them no TLS, canary in clear in ${clear.length}`;
  return settle(isSo, text, {
    frames: [...framesOf(seen.map(({ sighting }) => sighting)), ...clear],
  });
}

/** Streams of one pair of identities share a TLS connection; another identity has its own. */
export function poolOfIdentities(world: ClaimWorld): Finding {
  const own = world.paths('pool').map((path) => world.tunnel(path));
  const other = world.tunnel(world.path('other'));
  const tunnels = own.filter((tunnel) => tunnel !== undefined);
  if (tunnels.length !== own.length || other === undefined) {
    return settle(false, `${tunnels.length} of ${own.length} requests had an HBONE leg`);
  }
  const ids = new Set(tunnels.map(({ id }) => id));
  const apps = new Set(world.paths('pool').map(({ legs }) => legs[0]?.connection));
  const isSo = ids.size === 1 && apps.size === own.length && !ids.has(other.id);
  const text =
    `${apps.size} app connections shared ${ids.size} TLS connection(s); ` +
    `another service account of the node used ${ids.has(other.id) ? 'the same' : 'its own'}`;
  return settle(isSo, text, { frames: framesOf([...tunnels, other].map((t) => t.sightings[0]!)) });
}

/** pod → 15001 in the pod → 15008 of the peer → app, on other and on the same node. */
export function inpodLegs(world: ClaimWorld): Finding {
  const legs = (pod: string): readonly string[] => [
    'client -> ztunnel:15001',
    `ztunnel -> ${pod}:15008 hbone`,
    `ztunnel -> ${pod}:8080`,
  ];
  return together(
    checkLegs(world.facts, world.path('far'), legs('far')),
    checkLegs(world.facts, world.path('near'), legs('near')),
  );
}

/** Certificates of both ends are those of the workloads, and ztunnel's own is on no connection. */
export function workloadIdentities(world: ClaimWorld): Finding {
  const { connections } = world.facts;
  const all = connections.flatMap(({ tls }) => [tls?.clientIdentity, tls?.serverIdentity]);
  const own = all.filter((identity) => identity?.includes('/sa/ztunnel'));
  const seen = new Set(all.filter((identity) => identity !== undefined));
  const never = settle(
    own.length === 0 && seen.size > 1,
    `${seen.size} identities in all handshakes, ztunnel's own in ${own.length}`,
  );
  return together(never, checkIdentities(world.facts, world.path('far'), FAR_IDENTITIES));
}

/** HBONE without SNI, the certificate being that of the original destination. */
export function noServerName(world: ClaimWorld): Finding {
  const path = world.path('far');
  const tunnel = world.tunnel(path);
  if (tunnel?.tls === undefined) return settle(false, 'the request has no HBONE leg');
  const { sni } = tunnel.tls;
  const bare = settle(sni === undefined, `server name: ${sni ?? 'none'}`, {
    frames: framesOf(tunnel.sightings.slice(0, 1)),
  });
  return together(bare, checkIdentities(world.facts, path, FAR_IDENTITIES), hboneLayers(world));
}

/** 200 after the upstream connection was made, 503 when it failed, 401 when a policy refused. */
export function statusOfConnect(world: ClaimWorld): Finding {
  const status = (name: ClaimRequestName) =>
    world.path(name).legs.find(({ hbone }) => hbone)?.hbone?.stream.status;
  const seen = [status('far'), status('closed'), status('refused')];
  const isSo = seen.join() === '200,503,401';
  const tunnels = (['far', 'closed', 'refused'] as const).map((n) => world.tunnel(world.path(n)));
  const text = `CONNECT answered ${seen[0]} with a listener, ${seen[1]} without, ${seen[2]} by policy`;
  return settle(isSo, text, { frames: framesOf(tunnels.flatMap((t) => t?.sightings[0] ?? [])) });
}

/** Headers of the CONNECT as they were decrypted. */
export async function connectHeaders(world: ClaimWorld): Promise<Finding> {
  const tunnel = world.tunnel(world.path('far'));
  if (tunnel === undefined) return settle(false, 'the request has no HBONE leg');
  const { conversations } = await world.dissection();
  const own = conversations.find(
    ({ client, http2 }) =>
      http2 !== undefined && `${client.address}:${client.port}` === tunnel.client,
  );
  const request = own?.http2?.streams[0]?.request;
  const headers = request?.headers ?? [];
  const wanted = [':authority', 'forwarded', 'baggage', 'traceparent'];
  const missing = wanted.filter((name) => !headers.some(([known]) => known === name));
  const text = missing.length === 0 ? `all of ${wanted.join(', ')}` : `no ${missing.join(', ')}`;
  const evidence = headers.map(([name, value]) => `${name}: ${value}`);
  return settle(missing.length === 0, text, {
    evidence,
    frames: framesOf(tunnel.sightings.slice(0, 1)),
  });
}
