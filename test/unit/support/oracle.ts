import { COLUMNS, columnText } from '../../../lab/facts/dissect/columns.ts';
import { dissect } from '../../../lab/facts/dissect/dissect.ts';
import type { Connection, DissectedInterface, Frame } from '../../../lab/facts/dissect/types.ts';
import { joinCaptures, type SingleCapture } from './capture-library.ts';
import { LAYER_FIELDS, layerColumns } from './layer-columns.ts';
import { type DecodeAs, tsharkFields } from './tshark.ts';

/** What is compared of each frame, by tshark's names; numbers of frames differ in joined files. */
export const FIELDS: readonly string[] = [...COLUMNS.slice(1), ...LAYER_FIELDS];

/** Fields that tell of streams, not of one frame's headers. */
const STREAM_FIELDS = new Set(COLUMNS.slice(COLUMNS.indexOf('tls.record.opaque_type')));

export interface Disagreement {
  readonly capture: string;
  readonly frame: number;
  readonly field: string;
  readonly ours: string;
  readonly theirs: string;
}

export interface Agreement {
  readonly frames: number;
  readonly different: readonly Disagreement[];
  /** Fields that had a value in some frame. */
  readonly seen: ReadonlySet<string>;
}

interface OwnReading {
  readonly single: SingleCapture;
  readonly frames: readonly OwnFrame[];
  /** Conversations in it, whoever is the client. */
  readonly tuples: ReadonlySet<string>;
}

interface OwnFrame {
  readonly values: readonly string[];
  readonly frame: Frame;
  /** Bytes before it or of it are missing: what its streams say is known in part. */
  readonly isPartial: boolean;
}

/**
 * Holds each frame against what tshark says of it. Interfaces of different captures go through tshark
 * together where they have no conversation in common, for it takes one for another's retransmission.
 */
export async function compareWithTshark(
  singles: readonly SingleCapture[],
  decodeAs: DecodeAs,
): Promise<Agreement> {
  const different: Disagreement[] = [];
  const seen = new Set<string>();
  let frames = 0;
  for (const pack of packUp(singles.map(readOwn))) {
    const lines = await tsharkFields(
      joinCaptures(pack.map(({ single }) => single)),
      FIELDS,
      decodeAs,
    );
    const own = pack.flatMap((reading) => reading.frames.map((each) => ({ reading, each })));
    if (lines.length !== own.length) {
      throw new Error(`tshark has ${lines.length} frames, ours are ${own.length}`);
    }
    lines.forEach((line, row) => {
      const { reading, each } = own[row]!;
      const theirs = withoutQuoted(line.split('\t'));
      theirs.forEach((value, at) => value !== '' && seen.add(FIELDS[at]!));
      const capture = reading.single.name;
      different.push(...compareFrame(each, theirs).map((found) => ({ capture, ...found })));
    });
    frames += lines.length;
  }
  return { frames, different, seen };
}

function compareFrame(
  { values, frame, isPartial }: OwnFrame,
  theirs: readonly string[],
): readonly Omit<Disagreement, 'capture'>[] {
  return FIELDS.flatMap((field, at) => {
    const ours = values[at] ?? '';
    const other = theirs[at] ?? '';
    const isSame =
      isPartial && STREAM_FIELDS.has(field as never) ? isPartOf(ours, other) : ours === other;
    return isSame ? [] : [{ frame: frame.number, field, ours, theirs: other }];
  });
}

/** Of a stream with holes tshark tells more, from what looks like the beginning of a record. */
function isPartOf(ours: string, theirs: string): boolean {
  const left = theirs.split(',');
  return (
    ours === '' ||
    ours.split(',').every((value) => left.splice(0, left.indexOf(value) + 1).length > 0)
  );
}

function readOwn(single: SingleCapture): OwnReading {
  const capture = dissect([joinCaptures([single])]);
  const on = capture.interfaces[0]!;
  const columns = columnText(capture, on).split('\n').slice(0, -1);
  const frames = columns.map((line, row): OwnFrame => {
    const frame = on.frames.at(row + 1)!;
    const connection =
      frame.connection === undefined ? undefined : on.connections[frame.connection];
    const values = [...line.split('\t').slice(1), ...layerColumns(frame)];
    return { values, frame, isPartial: connection !== undefined && isHoled(connection) };
  });
  return { single, frames, tuples: tuplesOf(on) };
}

function isHoled({ fromClient, fromServer }: Connection): boolean {
  return [fromClient, fromServer].some(
    ({ gaps, synFrames, frames }) => gaps.length > 0 || (frames > 0 && synFrames.length === 0),
  );
}

function tuplesOf(on: DissectedInterface): ReadonlySet<string> {
  const ends = [
    ...on.connections.flatMap(({ client, server, repliesFrom, repliesTo }) => [
      [client, server],
      [repliesTo ?? client, repliesFrom ?? server],
    ]),
    ...on.udpFlows.map(({ a, b }) => [a, b]),
  ];
  return new Set(
    ends.map((pair) =>
      pair
        .map((end) => `${end.address} ${end.port}`)
        .sort()
        .join(' '),
    ),
  );
}

function packUp(readings: readonly OwnReading[]): readonly (readonly OwnReading[])[] {
  const packs: { readonly tuples: Set<string>; readonly readings: OwnReading[] }[] = [];
  for (const reading of readings) {
    const isApart = ({ tuples }: { readonly tuples: ReadonlySet<string> }): boolean =>
      [...reading.tuples].every((tuple) => !tuples.has(tuple));
    let pack = packs.find(isApart);
    if (pack === undefined) packs.push((pack = { tuples: new Set(), readings: [] }));
    pack.readings.push(reading);
    for (const tuple of reading.tuples) pack.tuples.add(tuple);
  }
  return packs.map((pack) => pack.readings);
}

/** An ICMP error quotes the packet it is about (RFC 792): tshark lists those headers, too. */
function withoutQuoted(values: readonly string[]): readonly string[] {
  const at = (field: string): string => values[FIELDS.indexOf(field)] ?? '';
  const isError = /^(3|11|12)\b/.test(at('icmp.type')) || /^[1-4]\b/.test(at('icmpv6.type'));
  if (!isError) return values;
  return values.map((value, index) => {
    const field = FIELDS[index]!;
    if (/^(tcp|udp|geneve|vxlan|tls|http2)\./.test(field)) return '';
    return field === 'frame.time_epoch' ? value : value.split(',')[0]!;
  });
}
