import { joinAddress } from './address.ts';
import { FRAME_META, type FrameTable } from './dissect/frame-table.ts';
import { LISTED_FRAMES, turned, type Direction, type HalfFlow } from './half-flow.ts';

/** Bits of the TCP flags byte (RFC 9293 §3.1). */
const TCP_FIN = 0x01;
const TCP_SYN = 0x02;
const TCP_RST = 0x04;
const TCP_ACK = 0x10;

const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;

export interface CollectOptions {
  readonly isLoopback: boolean;
  /** Unix nanoseconds that all times of the run count from. */
  readonly baseNs: bigint;
}

/**
 * Every half-flow of TCP and UDP on one interface, in order of the first frame. A reused source port
 * makes a new half: a SYN with another sequence number starts one, and so does a RST that answers
 * that new SYN.
 */
export function collectHalves(table: FrameTable, options: CollectOptions): readonly HalfFlow[] {
  const collector = new Collector(table, options);
  for (let row = 0; row < table.count; row++) collector.add(row);
  return collector.all;
}

class Collector {
  readonly all: HalfFlow[] = [];
  readonly #table: FrameTable;
  readonly #isLoopback: boolean;
  readonly #shiftNs: number;
  /** By address and port of the source, then of the destination: numbers hash faster than text. */
  readonly #current = new Map<number | string, Map<number | string, HalfFlow>>();

  constructor(table: FrameTable, { isLoopback, baseNs }: CollectOptions) {
    this.#table = table;
    this.#isLoopback = isLoopback;
    this.#shiftNs = Number(table.baseNs - baseNs);
  }

  add(row: number): void {
    const table = this.#table;
    const protocol = table.protocols[row]!;
    if (protocol !== PROTOCOL_TCP && protocol !== PROTOCOL_UDP) return;
    if ((table.meta[row]! & FRAME_META.fragment) !== 0) return;
    const direction = this.#direction(row);
    const lane = (protocol === PROTOCOL_TCP ? 0 : 3) + LANES[direction];
    const from = this.#endKey(row, 12, table.sourcePorts[row]!);
    const to = this.#endKey(row, 16, table.destinationPorts[row]!);
    const byDestination = this.#lane(from, lane);
    let half = byDestination.get(to);
    if (half === undefined || this.#isNewIncarnation(half, row, from, to, lane, direction)) {
      half = this.#begin(row, direction, protocol);
      byDestination.set(to, half);
      this.all.push(half);
    }
    this.#count(half, row);
  }

  #direction(row: number): Direction {
    if (this.#isLoopback) return 'loop';
    return (this.#table.meta[row]! & FRAME_META.out) !== 0 ? 'out' : 'in';
  }

  /** Six lanes (protocol, direction) share one map; 2^48 addresses and ports leave room for them. */
  #lane(from: number | string, lane: number): Map<number | string, HalfFlow> {
    const key = typeof from === 'number' ? from * 8 + lane : `${lane} ${from}`;
    const known = this.#current.get(key);
    if (known !== undefined) return known;
    const fresh = new Map<number | string, HalfFlow>();
    this.#current.set(key, fresh);
    return fresh;
  }

  #endKey(row: number, offset: number, port: number): number | string {
    const table = this.#table;
    if ((table.meta[row]! & FRAME_META.ipv6) !== 0) {
      return `${offset === 12 ? table.source(row) : table.destination(row)} ${port}`;
    }
    const at = table.dataOffsets[row]! + table.ipOffsets[row]! + offset;
    return table.file.readUInt32BE(at) * 65536 + port;
  }

  #isNewIncarnation(
    half: HalfFlow,
    row: number,
    from: number | string,
    to: number | string,
    lane: number,
    direction: Direction,
  ): boolean {
    if (half.protocol === 'udp') return false;
    const flags = this.#table.tcpFlags[row]!;
    if ((flags & TCP_SYN) !== 0) return half.syn !== this.#table.sequences[row];
    if ((flags & TCP_RST) === 0 || (flags & TCP_ACK) === 0) return false;
    const oppositeLane = lane - LANES[direction] + LANES[turned(direction)];
    const opposite = this.#lane(to, oppositeLane).get(from);
    if (opposite?.syn === undefined || !opposite.opens) return false;
    const answersNewSyn = (opposite.syn + 1) >>> 0 === this.#table.acknowledgements[row];
    return answersNewSyn && half.firstNs < opposite.firstNs;
  }

  #begin(row: number, direction: Direction, protocol: number): HalfFlow {
    const table = this.#table;
    const flags = table.tcpFlags[row]!;
    const isSyn = (flags & TCP_SYN) !== 0;
    const sequence = table.sequences[row]!;
    return {
      direction,
      protocol: protocol === PROTOCOL_TCP ? 'tcp' : 'udp',
      source: joinAddress(table.source(row), table.sourcePorts[row]!),
      destination: joinAddress(table.destination(row), table.destinationPorts[row]!),
      ...(isSyn ? { syn: sequence } : {}),
      opens: isSyn && (flags & TCP_ACK) === 0,
      firstSequence: sequence,
      firstAcknowledgment: table.acknowledgements[row]!,
      firstIpId: table.ipIds[row]!,
      firstPayloadBytes: table.payloadBytes[row]!,
      firstTtl: table.ttls[row]!,
      firstNs: table.times[row]! + this.#shiftNs,
      lastNs: 0,
      bytes: 0,
      payloadBytes: 0,
      clippedFrames: 0,
      hasFin: false,
      hasRst: false,
      refuses: !isSyn && (flags & TCP_RST) !== 0,
      marks: new Set(),
      frameCount: 0,
      firstFrames: [],
      lastFrame: 0,
    };
  }

  #count(half: HalfFlow, row: number): void {
    const table = this.#table;
    const flags = table.tcpFlags[row]!;
    const timeNs = table.times[row]! + this.#shiftNs;
    const mark = table.marks[row]!;
    half.lastNs = timeNs;
    half.bytes += table.originalBytes[row]!;
    half.payloadBytes += table.payloadBytes[row]!;
    if ((table.meta[row]! & FRAME_META.clipped) !== 0) half.clippedFrames++;
    if ((flags & TCP_FIN) !== 0) half.hasFin = true;
    if ((flags & TCP_RST) !== 0) half.hasRst = true;
    if (mark !== 0) half.marks.add(mark);
    if (half.frameCount++ < LISTED_FRAMES) half.firstFrames.push(table.numbers[row]!);
    half.lastFrame = table.numbers[row]!;
  }
}

const LANES = { in: 0, out: 1, loop: 2 } as const;
