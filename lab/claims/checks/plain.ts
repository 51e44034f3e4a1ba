import { checkLegs, checkQuiet } from '../../judge/check-path.ts';
import { checkSource } from '../../judge/check-client.ts';
import { framesOf } from '../../judge/evidence.ts';
import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { couldNotRun, settle, together } from '../finding.ts';
import type { ClaimRequestName } from '../requests.ts';

const legs = (world: ClaimWorld, name: ClaimRequestName, ...wanted: readonly string[]) =>
  checkLegs(world.facts, world.path(name), wanted);

/** Plain text meets 15006 whatever port it wants; what is sent to 15008 meets 15008. */
export function plainMeets15006(world: ClaimWorld): Finding {
  const direct = world.facts.connections.find(
    ({ client, server }) =>
      server.endsWith(':15008') && client === world.path('plainHbone').request.local,
  );
  const excluded = settle(
    direct !== undefined && direct.sightings.every(({ server }) => server.endsWith(':15008')),
    direct === undefined ? 'no packet to 15008' : `15008 was not rewritten: ${direct.end}`,
    { frames: framesOf(direct?.sightings ?? []) },
  );
  return together(
    legs(world, 'plainIn', 'bystander -> far:15006', 'ztunnel -> far:8080'),
    legs(world, 'plainOther', 'bystander -> far:15006', 'ztunnel -> far:9000'),
    excluded,
  );
}

/** The node's probe wears 169.254.7.127 and meets no proxy. */
export function probeBypasses(world: ClaimWorld): Finding {
  return together(
    checkSource(world.facts, world.path('probe'), '169.254.7.127'),
    legs(world, 'probe', 'node2 -> far:8080'),
    checkQuiet(world.facts, world.path('probe'), ['far.demo/lo']),
  );
}

/** What the node only forwards keeps its source, from other nodes and from its own. */
export function forwardedKeepsSource(world: ClaimWorld): Finding {
  return together(
    checkSource(world.facts, world.path('plainIn'), 'bystander'),
    checkSource(world.facts, world.path('plainNear'), 'stranger'),
    checkSource(world.facts, world.path('probe'), '169.254.7.127'),
  );
}

/** A pod's own address and 127.0.0.1 are reached without a proxy. */
export function selfIsFree(world: ClaimWorld): Finding {
  return together(
    legs(world, 'self', 'far -> far:8080'),
    legs(world, 'loopback', 'client -> client:8080'),
    checkQuiet(world.facts, world.path('self'), ['far.demo/eth0']),
  );
}

/** The app's reply to a borrowed source stays on loopback, with the mark that keeps it there. */
export function replyStaysInside(world: ClaimWorld): Finding {
  const last = world.connection(world.path('far'), 3);
  if (!world.facts.hasMarks) return couldNotRun('marks in the recording (Linux 5.19)');
  const outside = last.sightings.filter(({ interface: name }) => name !== 'lo');
  const marks = last.sightings.flatMap(({ replyMarks }) => replyMarks);
  const isSo = outside.length === 0 && marks.includes(0x111);
  const shown = marks.map((mark) => `0x${mark.toString(16)}`).join(' ') || 'no mark';
  const text = `replies on lo with ${shown}, ${outside.length} sightings elsewhere`;
  return settle(isSo, text, { frames: framesOf(last.sightings) });
}

/** A destination outside the mesh is passed through with the client's own address. */
export function passthroughKeepsSource(world: ClaimWorld): Finding {
  return together(
    legs(world, 'plainOut', 'client -> ztunnel:15001', 'ztunnel -> stranger:8080'),
    checkSource(world.facts, world.path('plainOut'), 'client'),
  );
}
