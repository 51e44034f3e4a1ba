import type { Connection, Sighting } from '../../facts/facts.ts';
import { checkSource } from '../../judge/check-client.ts';
import { checkLegs, checkQuiet } from '../../judge/check-path.ts';
import { framesOf } from '../../judge/evidence.ts';
import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { couldNotRun, EvidenceMissing, settle, together } from '../finding.ts';
import type { ClaimRequestName } from '../requests.ts';
import { addressOf } from './ask.ts';

const placeOf = ({ netns, interface: name }: Sighting) => `${netns}/${name}`;
const shown = (mark: number) => `0x${mark.toString(16)}`;

const legs = (world: ClaimWorld, name: ClaimRequestName, ...wanted: readonly string[]) =>
  checkLegs(world.facts, world.path(name), wanted);

const source = (world: ClaimWorld, name: ClaimRequestName, who: string) =>
  checkSource(world.facts, world.path(name), who);

/** The places in which a connection was seen, in this order; others may lie between them. */
function passes({ sightings }: Connection, wanted: readonly string[]): Finding {
  const places = sightings.map(placeOf);
  let at = -1;
  const isSo = wanted.every((place) => (at = places.indexOf(place, at + 1)) >= 0);
  const evidence = sightings.map(
    (one) =>
      `${placeOf(one)} ${one.direction}: ${one.client} → ${one.server}, ${one.frames} frames`,
  );
  return settle(isSo, places.join(' → '), { evidence, frames: framesOf(sightings) });
}

function meets(world: ClaimWorld, name: ClaimRequestName, leg: number, listener: number): Finding {
  const found = world.path(name).legs[leg - 1]?.to.listener;
  return settle(found === listener, `leg ${leg} accepted at ${found ?? 'no listener of ztunnel'}`);
}

/** The first SYN: pod, istioout, pistioout; its connection is accepted at 15001. */
export function outboundOfAlpha(world: ClaimWorld): Finding {
  const wanted = ['client.demo/eth0', 'node1/istioout', 'ztunnel-node1.istio-system/pistioout'];
  const first = world.connection(world.path('far'), 1);
  return together(passes(first, wanted), meets(world, 'far', 1, 15001));
}

/** HBONE and plain text from the other node: uplink, istioin, pistioin, listener, app. */
export function inboundOfAlpha(world: ClaimWorld): Finding {
  const wanted = ['node2/eth0', 'node2/istioin', 'ztunnel-node2.istio-system/pistioin'];
  return together(
    passes(world.connection(world.path('far'), 2), wanted),
    meets(world, 'far', 2, 15008),
    passes(world.connection(world.path('plainIn'), 1), wanted),
    meets(world, 'plainIn', 1, 15006),
    legs(world, 'plainIn', 'bystander -> far:15006', 'ztunnel -> far:8080'),
  );
}

/** The service's address is on every sighting, ztunnel's own included: no DNAT of kube-proxy. */
export function keepsVip(world: ClaimWorld): Finding {
  const service = world.lab.plan.services.find(({ name }) => name === 'far');
  if (service?.vip === undefined) throw new EvidenceMissing('a service "far" with an address');
  const wanted = `${service.vip}:${service.ports[0]?.port}`;
  const { sightings } = world.connection(world.path('far'), 1);
  const servers = [...new Set(sightings.map(({ server }) => server))];
  const reached = sightings.some(({ netns }) => netns === 'ztunnel-node1.istio-system');
  const text = `destination ${servers.join(', ')} on all ${sightings.length} interfaces, seen at ztunnel: ${reached}`;
  const isSo = servers.join() === wanted && reached;
  return together(
    settle(isSo, text, { frames: framesOf(sightings) }),
    meets(world, 'far', 1, 15001),
  );
}

/** Same node: through ztunnel without TLS, and the app sees the client. */
export function nearSeesClient(world: ClaimWorld): Finding {
  return together(
    legs(world, 'near', 'client -> ztunnel:15001', 'ztunnel -> near:8080'),
    source(world, 'near', 'client'),
  );
}

/** Other node: through both ztunnels, and the app sees the client. */
export function farSeesClient(world: ClaimWorld): Finding {
  const wanted = ['client -> ztunnel:15001', 'ztunnel -> far:15008 hbone', 'ztunnel -> far:8080'];
  return together(legs(world, 'far', ...wanted), source(world, 'far', 'client'));
}

/** Plain text of nobody's pod meets 15006, from either node, and the app sees who sent it. */
export function plainKeepsSource(world: ClaimWorld): Finding {
  return together(
    legs(world, 'plainIn', 'bystander -> far:15006', 'ztunnel -> far:8080'),
    source(world, 'plainIn', 'bystander'),
    legs(world, 'plainNear', 'stranger -> far:15006', 'ztunnel -> far:8080'),
    source(world, 'plainNear', 'stranger'),
  );
}

/**
 * The node's own connection goes to the pod with mark 0x220, past ztunnel. Its last ACK, sent in
 * TIME-WAIT, belongs to no socket: the rule of 1.20 (`--socket-exists`) does not mark it, and it
 * strays into the tunnel.
 */
export function nodeIsFree(world: ClaimWorld): Finding {
  if (!world.facts.hasMarks) return couldNotRun('marks in the recording (Linux 5.19)');
  const first = world.connection(world.path('probe'), 1);
  const { sightings } = first;
  const marks = sightings.flatMap((sighting) => sighting.marks);
  const astray = world.facts.connections
    .filter(({ id, client }) => client === first.client && id !== first.id)
    .flatMap((connection) => connection.sightings.filter(({ tunnel }) => tunnel !== undefined));
  const strays = astray.length > 0 ? ASTRAY : '';
  const marked = settle(
    marks.includes(0x220) && astray.every(({ tunnel }) => tunnel?.isOnlySyn === false),
    `marks on its way out: ${marks.map(shown).join(' ') || 'none'}${strays}`,
    { frames: framesOf([...sightings, ...astray]) },
  );
  return together(
    legs(world, 'probe', 'node2 -> far:8080'),
    marked,
    checkQuiet(world.facts, world.path('probe'), ['node2/istioin', 'node2/v-ztunnel']),
  );
}

const ASTRAY =
  '; its last ACK, in TIME-WAIT, strays into istioin unmarked: the rule of 1.20 asks for a socket';

/** Datagrams meet no tunnel and no ztunnel, but for questions to the DNS where those are captured. */
export async function udpPassesBy(world: ClaimWorld): Promise<Finding> {
  const quiet = ['node1/istioout', 'node1/v-ztunnel', 'node2/istioin', 'node2/v-ztunnel'];
  return together(
    legs(world, 'udp', 'client -> far:9001'),
    checkQuiet(world.facts, world.path('udp'), quiet),
    meets(world, 'far', 1, 15001),
    await dnsMeetsZtunnel(world),
  );
}

const ASKED = 'far.demo.svc.cluster.local';
const DIG = ['dig', '+short', '+time=2', '+tries=2', ASKED];

/** With DNS capture, a mesh pod's question is answered at 15053 of ztunnel, that of another is not. */
function dnsMeetsZtunnel(world: ClaimWorld): Promise<Finding> {
  return world.beside('dns', { dnsCapture: true }, async (aside) => {
    const answers: string[] = [];
    const { interfaces } = await aside.record('dns', async () => {
      for (const pod of ['client', 'stranger']) {
        answers.push((await aside.run(pod, DIG)).stdout.trim());
      }
    });
    const at = interfaces.filter(({ netns }) => netns === 'ztunnel-node1.istio-system');
    const asked = at.flatMap(({ dns, ifname }) =>
      dns
        .filter(({ name, server }) => name.startsWith(ASKED) && server.port === 15053)
        .map(({ client, queryFrame }) => ({ who: client.address, ifname, queryFrame })),
    );
    const own = addressOf(aside, 'client');
    const vip = aside.lab.plan.services.find(({ name }) => name === 'far')?.vip;
    const isOwn = asked.length > 0 && asked.every(({ who }) => who === own);
    const isSo = isOwn && answers.every((one) => one === vip);
    const text = `with DNS capture: ${asked.length} question(s) at 15053 of ztunnel, from ${asked.map(({ who }) => who).join(', ') || 'nobody'}; answers ${answers.join(' and ')}`;
    return settle(isSo, text, {
      frames: asked.flatMap(({ ifname, queryFrame }) =>
        queryFrame === undefined
          ? []
          : [
              {
                file: aside.fileOf('dns', `ztunnel-node1.istio-system/${ifname}`),
                frames: [queryFrame],
              },
            ],
      ),
    });
  });
}

/** A pod that calls itself does not leave its namespace. */
export function selfStaysInside(world: ClaimWorld): Finding {
  return together(
    legs(world, 'self', 'far -> far:8080'),
    checkQuiet(world.facts, world.path('self'), ['far.demo/eth0', 'node2/v-ztunnel']),
    // Control: others do meet ztunnel on their way to this very address.
    meets(world, 'plainIn', 1, 15006),
  );
}

/** One SYN of each captured connection is inside Geneve, and everything after it is bare. */
export function onlyFirstSyn(world: ClaimWorld): Finding {
  const captured = world.facts.paths.flatMap(({ legs: all }) =>
    all.filter(({ to }) => to.kind === 'ztunnel').map(({ connection }) => connection),
  );
  const tunnelled = [...new Set(captured)].flatMap((id) =>
    (world.facts.connections[id]?.sightings ?? []).flatMap((sighting) => {
      const { tunnel, replyTunnel } = sighting;
      return tunnel === undefined && replyTunnel === undefined ? [] : [{ id, sighting }];
    }),
  );
  const wrong = tunnelled.filter(({ sighting: { tunnel, replyTunnel } }) => {
    // A SYN that nobody answered in time is sent again, and is tunnelled again.
    const isOne = tunnel?.isOnlySyn === true && tunnel.bareFrames > 0;
    return !isOne || replyTunnel !== undefined;
  });
  const after = new Set(tunnelled.flatMap(({ sighting }) => sighting.tunnel?.bareMarks ?? []));
  const count = new Set(tunnelled.map(({ id }) => id)).size;
  const text = `${count} captured connections inside Geneve, in ${tunnelled.length} sightings: ${wrong.length} with more than the SYN in it; later frames bare, marked ${[...after].map(shown).join(' ') || 'with nothing'}`;
  const chosen = wrong.length > 0 ? wrong : tunnelled;
  return settle(count > 0 && wrong.length === 0 && after.has(0x40), text, {
    evidence: chosen.map(
      ({ sighting: { tunnel, client, server, ...one } }) =>
        `${one.netns}/${one.interface}: ${client} → ${server}: ${tunnel?.frames ?? 0} inside VNI ${tunnel?.layers[0]?.vni ?? '?'}, ${tunnel?.bareFrames ?? 0} bare`,
    ),
    frames: chosen.map(({ sighting }) => ({
      file: sighting.file,
      frames: [sighting.tunnel?.firstFrame ?? sighting.firstFrame],
    })),
  });
}

/** Nothing in the whole recording goes to 15008 of the same-node server; to the far one it does. */
export function fastPathIsSilent(world: ClaimWorld): Finding {
  const address = (pod: string) =>
    world.lab.plan.pods.find(({ name }) => name === pod)?.address ?? `nobody called ${pod}`;
  const to = (pod: string) =>
    world.facts.connections.filter(({ server }) => server === `${address(pod)}:15008`);
  const [near, far] = [to('near'), to('far')];
  if (far.length === 0) throw new EvidenceMissing('HBONE between nodes (positive control)');
  const text = `connections to 15008 of the near pod: ${near.length}, of the far pod (control): ${far.length}`;
  const silent = settle(near.length === 0, text, {
    frames: framesOf([...near, ...far].flatMap(({ sightings }) => sightings.slice(0, 1))),
  });
  return together(silent, legs(world, 'near', 'client -> ztunnel:15001', 'ztunnel -> near:8080'));
}
