import { readFile } from 'node:fs/promises';
import { PcapngReader } from '../capture/pcapng-read.ts';
import { joinAddress } from './address.ts';
import { FRAME_META } from './dissect/frame-meta.ts';
import type { FrameTable } from './dissect/frame-table.ts';
import { InterfaceReader } from './dissect/interface-reader.ts';
import type { Sighting } from './facts.ts';

/** One frame of the story, its bytes still those of the file it was read from. */
export interface StoryFrame {
  /** `netns/interface` it was seen on. */
  readonly place: string;
  readonly timeNs: bigint;
  readonly data: Buffer;
  readonly originalBytes: number;
  readonly direction?: 'in' | 'out';
  readonly mark: number;
  readonly comments: readonly string[];
}

/** A connection as one interface saw it, and what is said at its first frame. */
export interface StorySighting {
  readonly sighting: Sighting;
  readonly comments: readonly string[];
}

/**
 * The frames of some connections out of one interface's file, at most `limit` of each, in order.
 * They are known again by addresses, ports and the time the connection lasted.
 * @throws {PcapngError} when the file is no pcapng.
 */
export async function readStoryFrames(
  path: string,
  sightings: readonly StorySighting[],
  limit: number,
): Promise<readonly StoryFrame[]> {
  const byTuple = new Map<string, Selection[]>();
  for (const each of sightings) {
    const { client, server, repliesFrom = server, repliesTo = client } = each.sighting;
    const selection = selectionOf(each);
    for (const key of new Set([`${client} ${server}`, `${repliesFrom} ${repliesTo}`])) {
      byTuple.set(key, [...(byTuple.get(key) ?? []), selection]);
    }
  }
  const table = readTable(await readFile(path));
  const frames: StoryFrame[] = [];
  for (let row = 0; table !== undefined && row < table.count; row++) {
    const frame = select(table, row, byTuple, limit);
    if (frame !== undefined) frames.push(frame);
  }
  return frames;
}

interface Selection extends StorySighting {
  readonly firstNs: bigint;
  readonly lastNs: bigint;
  taken: number;
}

function selectionOf(each: StorySighting): Selection {
  const { firstNs, lastNs } = each.sighting;
  return { ...each, firstNs: BigInt(firstNs), lastNs: BigInt(lastNs), taken: 0 };
}

function select(
  table: FrameTable,
  row: number,
  byTuple: ReadonlyMap<string, readonly Selection[]>,
  limit: number,
): StoryFrame | undefined {
  if (table.sourcePorts[row] === 0) return undefined;
  const source = joinAddress(table.source(row), table.sourcePorts[row]!);
  const destination = joinAddress(table.destination(row), table.destinationPorts[row]!);
  const timeNs = table.timeNs(row);
  const selection = byTuple
    .get(`${source} ${destination}`)
    ?.find((each) => each.firstNs <= timeNs && timeNs <= each.lastNs);
  if (selection === undefined || selection.taken >= limit) return undefined;
  const { sighting } = selection;
  const isOut = (table.meta[row]! & FRAME_META.out) !== 0;
  return {
    place: `${sighting.netns}/${sighting.interface}`,
    timeNs,
    data: table.bytes(row),
    originalBytes: table.originalBytes[row]!,
    direction: isOut ? 'out' : 'in',
    mark: table.marks[row]!,
    comments: selection.taken++ === 0 ? selection.comments : [],
  };
}

function readTable(file: Buffer): FrameTable | undefined {
  let reader: InterfaceReader | undefined;
  let number = 0;
  const pcapng = new PcapngReader({
    packet(_buffer, packet) {
      const seconds = BigInt(Math.floor(secondsOf(packet)));
      reader ??= new InterfaceReader(file, packet.interface, seconds);
      reader.add(++number, packet);
    },
  });
  pcapng.push(file);
  pcapng.end();
  return reader?.table;
}

function secondsOf(packet: {
  readonly timeHigh: number;
  readonly timeLow: number;
  readonly interface: { readonly ticksPerSecond: number; readonly offsetSeconds: bigint };
}): number {
  const ticks = packet.timeHigh * 0x1_0000_0000 + packet.timeLow;
  return ticks / packet.interface.ticksPerSecond + Number(packet.interface.offsetSeconds);
}
