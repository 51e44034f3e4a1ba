import { basename } from 'node:path';
import { ipOf, splitAddress } from '../facts/address.ts';
import type { Connection, Leg, LegEnd, Path, RunFacts } from '../facts/facts.ts';
import { nameOf } from './places.ts';

/** Ports above this are taken for ephemeral ones, other in each run. */
const FIRST_EPHEMERAL_PORT = 32_768;

/**
 * Facts of a run's requests as text that two runs of one lab have in common: places instead of
 * addresses, legs, tunnels, listening ports, identities, statuses, hops, passes and marks in order; no
 * times, no ephemeral ports, no stream numbers, no random bytes. Readable as a diff.
 */
export function renderBaseline(facts: RunFacts): string {
  const paths = facts.paths.flatMap((path) => [...renderPath(facts, path), '']);
  return [`${basename(facts.topologyFile)}, era ${facts.era}`, '', ...paths].join('\n');
}

function renderPath(facts: RunFacts, path: Path): readonly string[] {
  const { request } = path;
  const answer = [request.status, request.outcome].filter((each) => each !== undefined).join(' ');
  return [
    request.name,
    `  ${request.from} asks ${request.to}: ${answer}, source ${sourceOf(facts, path)}`,
    ...path.legs.flatMap((leg) => renderLeg(facts, leg)),
    `  ${path.hops} hops, ${path.passes} passes`,
    ...(path.failure === undefined ? [] : [`  the proxy ended it: ${path.failure}`]),
    ...path.missing.map(() => '  a leg could not be joined'),
  ];
}

function sourceOf(facts: RunFacts, { request }: Path): string {
  const { sourceSeenByApp } = request;
  return sourceSeenByApp === undefined ? 'unknown' : nameOf(facts, ipOf(sourceSeenByApp));
}

function renderLeg(facts: RunFacts, leg: Leg): readonly string[] {
  const connection = facts.connections[leg.connection];
  const wanted = leg.wanted === undefined ? '' : `, wanted ${stable(facts, leg.wanted)}`;
  const listener = leg.to.listener === undefined ? '' : `, listener ${leg.to.listener}`;
  const target = stable(facts, leg.to.address);
  const head = `  leg ${leg.number}: ${endText(leg.from)} -> ${endText(leg.to)} at ${target}${listener}${wanted}`;
  return [
    `${head}, ${leg.encapsulation} ${leg.protocol}, ${connection?.end ?? 'unknown'}`,
    ...renderTunnel(facts, leg, connection),
    ...(connection?.sightings ?? []).map(({ netns, interface: name, direction, ttl, ...marks }) => {
      const sent = marks.marks.map(hex).join(' ') || '-';
      const answered = marks.replyMarks.map(hex).join(' ') || '-';
      return `    ${netns}/${name} ${direction} ttl ${ttl} marks ${sent} / ${answered}`;
    }),
  ];
}

function renderTunnel(
  facts: RunFacts,
  { hbone }: Leg,
  connection: Connection | undefined,
): readonly string[] {
  if (hbone === undefined) return [];
  const { stream, version, cipher, alpn, clientIdentity, serverIdentity } = hbone;
  const authority = stream.authority === undefined ? 'unknown' : stable(facts, stream.authority);
  return [
    `    ${[connection?.tls?.state ?? 'no TLS', version, cipher, alpn].filter(Boolean).join(' ')}`,
    `    ${clientIdentity ?? 'no identity'} to ${serverIdentity ?? 'no identity'}`,
    `    CONNECT ${authority}: ${stream.status ?? 'no answer'}`,
  ];
}

/** Name and port of an address, the port only when a listener has it. */
function stable(facts: RunFacts, address: string): string {
  const { ip, port } = splitAddress(address);
  return `${nameOf(facts, ip)}:${port < FIRST_EPHEMERAL_PORT ? port : 'ephemeral'}`;
}

function endText({ kind, name, node }: LegEnd): string {
  return kind === 'ztunnel' && node !== undefined ? `ztunnel(${node})` : name;
}

function hex(mark: number): string {
  return `0x${mark.toString(16)}`;
}
