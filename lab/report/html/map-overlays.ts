import { ipOf } from '../../facts/address.ts';
import type { Leg, RunFacts, Sighting, TunnelLayer, Tunnelled } from '../../facts/facts.ts';
import { hex } from '../leg-words.ts';
import type { MapTunnel } from './map-model.ts';

const NAMES: Readonly<Record<TunnelLayer['kind'], string>> = { geneve: 'Geneve', vxlan: 'VXLAN' };

/**
 * Overlays that frames of a leg were inside: from the tunnel device on this side to the one on the
 * other, as the interfaces saw the frames bare, wrapped and bare again. Replies go the other way.
 */
export function overlaysOf({ connections }: RunFacts, leg: Leg): readonly MapTunnel[] {
  const sightings = connections[leg.connection]?.sightings ?? [];
  return [
    ...runsOf(sightings, ({ tunnel }) => tunnel),
    ...runsOf([...sightings].reverse(), ({ replyTunnel }) => replyTunnel),
  ];
}

type Wrapped = (sighting: Sighting) => Tunnelled | undefined;

/** One for each stretch of sightings that saw the same outer headers. */
function runsOf(sightings: readonly Sighting[], wrapped: Wrapped): readonly MapTunnel[] {
  const found: MapTunnel[] = [];
  let start = 0;
  sightings.forEach((sighting, index) => {
    const here = keyOf(wrapped(sighting));
    if (here === undefined) return;
    if (here !== keyOf(at(sightings, index - 1, wrapped))) start = index;
    if (here === keyOf(at(sightings, index + 1, wrapped))) return;
    const tunnelled = wrapped(sighting);
    if (tunnelled === undefined) return;
    found.push(
      tunnelOf(
        tunnelled,
        device(sightings, start, -1, wrapped),
        device(sightings, index, 1, wrapped),
      ),
    );
  });
  return found;
}

function at(
  sightings: readonly Sighting[],
  index: number,
  wrapped: Wrapped,
): Tunnelled | undefined {
  const sighting = sightings[index];
  return sighting === undefined ? undefined : wrapped(sighting);
}

function keyOf(tunnelled: Tunnelled | undefined): string | undefined {
  const outer = tunnelled?.layers[0];
  if (outer === undefined) return undefined;
  return `${outer.kind} ${outer.vni} ${outer.source} ${outer.destination}`;
}

/** The device beside a wrapped sighting, where the frame was seen bare; else where it was wrapped. */
function device(
  sightings: readonly Sighting[],
  index: number,
  side: -1 | 1,
  wrapped: Wrapped,
): string {
  const here = sightings[index]!;
  const beside = sightings[index + side];
  const isDevice =
    beside !== undefined && beside.netns === here.netns && wrapped(beside) === undefined;
  const shown = isDevice ? beside : here;
  return `${shown.netns}/${shown.interface}`;
}

function tunnelOf({ layers, isOnlySyn }: Tunnelled, from: string, to: string): MapTunnel {
  const { kind, vni, source, destination } = layers[0]!;
  const how = isOnlySyn
    ? ': of a connection only the first SYN, the rest goes bare by its mark'
    : '';
  return {
    kind,
    from,
    to,
    text: `${NAMES[kind]} VNI ${vni} (${hex(vni)}) from ${ipOf(source)} to ${ipOf(destination)}${how}`,
    label: `${NAMES[kind]} ${vni}`,
  };
}
