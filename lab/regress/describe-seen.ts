import { collectHalves } from '../facts/half-flow-table.ts';
import type { HalfFlow } from '../facts/half-flow.ts';
import { joinAddress } from '../facts/address.ts';
import { FRAME_META } from '../facts/dissect/frame-meta.ts';
import type { Dissection } from '../facts/dissect/dissect.ts';
import type { Connection, DissectedInterface, Endpoint } from '../facts/dissect/types.ts';
import { type BaselineFact, PART } from './baseline.ts';
import { UNNAMED } from './read-capture.ts';
import { stablePort } from './stable-address.ts';

/** What an interface is called; of a capture without names, what such a one is called. */
export function placeOf(interfaceName: string): string {
  return interfaceName === '' ? UNNAMED : interfaceName;
}

/** Address and port, the port only when a listener has it. */
export function endpointText({ address, port }: Endpoint): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return `${host}:${stablePort(port)}`;
}

/**
 * What each interface saw of a conversation: direction, TTL, marks of both ways, addresses where NAT
 * changed them, and the overlay. Sorted by TTL and name: clocks of processors do not order them.
 */
export function describeSeen(
  capture: Dissection,
  sightings: readonly Connection[],
  names: { readonly client: Endpoint; readonly server: Endpoint },
): readonly BaselineFact[] {
  const ordered = [...sightings].sort(
    (a, b) => ttlOf(b) - ttlOf(a) || (a.interface < b.interface ? -1 : 1),
  );
  const times = new Map<string, number>();
  return ordered.map((seen) => {
    const place = placeOf(seen.interface);
    const time = (times.get(place) ?? 0) + 1;
    times.set(place, time);
    const on = capture.interfaces.find(({ name }) => name === seen.interface);
    return {
      key: `seen${PART}${time === 1 ? place : `${place} (${time})`}`,
      value: [
        `${on === undefined ? '' : directionOf(on, seen)}ttl ${ttlOf(seen)}`,
        `marks ${hexes(seen.fromClient.marks)} / ${hexes(seen.fromServer.marks)}`,
        ...translations(seen, names),
        ...(on === undefined ? [] : overlays(on, seen)),
      ].join(', '),
      frames: [{ file: place, frames: framesOf(seen) }],
    };
  });
}

/** First and last frame. */
export function framesOf({ firstFrame, lastFrame }: Connection): readonly number[] {
  return firstFrame === lastFrame ? [firstFrame] : [firstFrame, lastFrame];
}

export function ttlOf({ fromClient, fromServer }: Connection): number {
  return fromClient.ttls[0] ?? fromServer.ttls[0] ?? 0;
}

/** Marks in ascending order, without that of a frame that has none. */
export function hexes(marks: readonly number[]): string {
  const shown = marks.filter((mark) => mark !== 0).sort((a, b) => a - b);
  return shown.map((mark) => `0x${mark.toString(16)}`).join(' ') || '-';
}

/** Which way the client's frames went, where the capture tells. */
function directionOf({ ifname, frames }: DissectedInterface, seen: Connection): string {
  if (ifname === 'lo') return 'loop ';
  const { meta, count } = frames;
  const isTold = meta.subarray(0, count).some((each) => (each & FRAME_META.out) !== 0);
  const first = frames.rowOf(seen.firstFrame);
  if (!isTold && !isInLab(seen.interface)) return '';
  const isOut = (meta[first]! & FRAME_META.out) !== 0;
  return isOut === (frames.sourcePorts[first] === seen.client.port) ? 'out ' : 'in ';
}

/** Our recorder tells the direction of every frame. */
function isInLab(interfaceName: string): boolean {
  return interfaceName.includes('/');
}

function translations(
  { client, server, repliesFrom }: Connection,
  names: { readonly client: Endpoint; readonly server: Endpoint },
): readonly string[] {
  const isSame = (a: Endpoint, b: Endpoint): boolean =>
    a.address === b.address && a.port === b.port;
  return [
    ...(client.address === names.client.address ? [] : [`from ${client.address}`]),
    ...(isSame(server, names.server) ? [] : [`to ${endpointText(server)}`]),
    ...(repliesFrom === undefined ? [] : [`replies from ${endpointText(repliesFrom)}`]),
  ];
}

function overlays(on: DissectedInterface, seen: Connection): readonly string[] {
  const ends = [joinAddress(seen.client.address, seen.client.port), seen.server] as const;
  const server = joinAddress(ends[1].address, ends[1].port);
  const halves = collectHalves(on, on.frames.baseNs).filter(
    ({ wrapped, firstFrames }) => wrapped !== undefined && isWithin(seen, firstFrames[0] ?? 0),
  );
  return [
    ...overlayText(
      'inside',
      halves.find(({ source }) => source === ends[0]),
    ),
    ...overlayText(
      'replies inside',
      halves.find(({ source, destination }) => {
        return source === server || destination === ends[0];
      }),
    ),
  ];
}

function isWithin({ firstFrame, lastFrame }: Connection, frame: number): boolean {
  return frame >= firstFrame && frame <= lastFrame;
}

function overlayText(word: string, half: HalfFlow | undefined): readonly string[] {
  const wrapped = half?.wrapped;
  if (half === undefined || wrapped === undefined) return [];
  const layers = wrapped.layers.map(
    ({ kind, vni, protocol, optionBytes, source, destination, destinationPort }) => {
      const options = optionBytes === 0 ? '' : ` with ${optionBytes} bytes of options`;
      const type = protocol === 0 ? '' : ` protocol 0x${protocol.toString(16)}`;
      return `${kind} vni ${vni}${type}${options} ${source} -> ${destination}:${destinationPort}`;
    },
  );
  const bare = half.frameCount - wrapped.frameCount;
  const what = wrapped.isOnlySyn ? 'the SYN' : bare === 0 ? 'all' : 'some frames';
  return [`${word} ${layers.join(' in ')}: ${what}`];
}
