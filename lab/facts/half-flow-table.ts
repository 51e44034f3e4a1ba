import { joinAddress } from './address.ts';
import { encapsulationOf } from './dissect/encapsulation.ts';
import { FRAME_META } from './dissect/frame-meta.ts';
import type { FrameTable } from './dissect/frame-table.ts';
import type { DissectedInterface } from './dissect/types.ts';
import { LISTED_FRAMES, type Direction, type HalfFlow } from './half-flow.ts';

/** Bits of the TCP flags byte (RFC 9293 §3.1). */
const TCP_FIN = 0x01;
const TCP_SYN = 0x02;
const TCP_RST = 0x04;
const TCP_ACK = 0x10;

const PROTOCOL_UDP = 17;

/**
 * Every half-flow of TCP and UDP on one interface, in order of the first frame. TCP halves follow the
 * dissector's connections, which tell the uses of one source port apart; a half is what one side of
 * a connection sent one way through the interface.
 *
 * @param baseNs Unix nanoseconds that all times of the run count from.
 */
export function collectHalves(on: DissectedInterface, baseNs: bigint): readonly HalfFlow[] {
  const collector = new Collector(on, baseNs);
  for (let row = 0; row < on.frames.count; row++) collector.add(row);
  return collector.all;
}

class Collector {
  readonly all: HalfFlow[] = [];
  readonly #table: FrameTable;
  readonly #isLoopback: boolean;
  readonly #shiftNs: number;
  /** Port of each connection's client, and whether ports do not tell its sides apart. */
  readonly #clientPorts: Uint16Array;
  readonly #clientAddresses: readonly string[];
  readonly #isAmbiguous: readonly boolean[];
  /** By connection, side and direction. */
  readonly #tcp: (HalfFlow | undefined)[];
  readonly #udp = new Map<string, HalfFlow>();

  constructor({ frames, ifname, connections }: DissectedInterface, baseNs: bigint) {
    this.#table = frames;
    this.#isLoopback = ifname === 'lo';
    this.#shiftNs = Number(frames.baseNs - baseNs);
    this.#clientPorts = Uint16Array.from(connections, ({ client }) => client.port);
    this.#clientAddresses = connections.map(({ client }) => client.address);
    this.#isAmbiguous = connections.map(
      ({ client, server, repliesFrom }) =>
        client.port === server.port || client.port === repliesFrom?.port,
    );
    this.#tcp = new Array<HalfFlow | undefined>(connections.length * SLOTS);
  }

  add(row: number): void {
    const table = this.#table;
    const connection = table.connections[row]!;
    if (connection >= 0) this.#addTcp(row, connection);
    else if (table.protocols[row] === PROTOCOL_UDP && table.sourcePorts[row] !== 0) {
      this.#addUdp(row);
    }
  }

  #addTcp(row: number, connection: number): void {
    const direction = this.#direction(row);
    const side = this.#isFromClient(row, connection) ? 0 : 1;
    const slot = connection * SLOTS + side * 2 + (direction === 'out' ? 1 : 0);
    this.#count((this.#tcp[slot] ??= this.#begin(row, direction, 'tcp')), row);
  }

  #isFromClient(row: number, connection: number): boolean {
    if (this.#table.sourcePorts[row] !== this.#clientPorts[connection]) return false;
    if (!this.#isAmbiguous[connection]) return true;
    return this.#table.source(row) === this.#clientAddresses[connection];
  }

  #addUdp(row: number): void {
    const table = this.#table;
    const direction = this.#direction(row);
    const from = `${table.source(row)} ${table.sourcePorts[row]}`;
    const key = `${direction} ${from} ${table.destination(row)} ${table.destinationPorts[row]}`;
    const known = this.#udp.get(key);
    const half = known ?? this.#begin(row, direction, 'udp');
    if (known === undefined) this.#udp.set(key, half);
    this.#count(half, row);
  }

  #direction(row: number): Direction {
    if (this.#isLoopback) return 'loop';
    return (this.#table.meta[row]! & FRAME_META.out) !== 0 ? 'out' : 'in';
  }

  #begin(row: number, direction: Direction, protocol: HalfFlow['protocol']): HalfFlow {
    const table = this.#table;
    const flags = table.tcpFlags[row]!;
    const isSyn = (flags & TCP_SYN) !== 0;
    const sequence = table.sequences[row]!;
    const half: HalfFlow = {
      direction,
      protocol,
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
      bareMarks: new Set(),
      frameCount: 0,
      firstFrames: [],
      lastFrame: 0,
    };
    this.all.push(half);
    return half;
  }

  #count(half: HalfFlow, row: number): void {
    const table = this.#table;
    const flags = table.tcpFlags[row]!;
    const mark = table.marks[row]!;
    half.lastNs = table.times[row]! + this.#shiftNs;
    half.bytes += table.originalBytes[row]!;
    half.payloadBytes += table.payloadBytes[row]!;
    if ((table.meta[row]! & FRAME_META.clipped) !== 0) half.clippedFrames++;
    if ((flags & TCP_FIN) !== 0) half.hasFin = true;
    if ((flags & TCP_RST) !== 0) half.hasRst = true;
    if (mark !== 0) half.marks.add(mark);
    if ((table.meta[row]! & FRAME_META.encapsulated) !== 0) this.#countWrapped(half, row);
    else if (mark !== 0) half.bareMarks.add(mark);
    if (half.frameCount++ < LISTED_FRAMES) half.firstFrames.push(table.numbers[row]!);
    half.lastFrame = table.numbers[row]!;
  }

  #countWrapped(half: HalfFlow, row: number): void {
    const table = this.#table;
    const mark = table.marks[row]!;
    half.wrapped ??= {
      layers: encapsulationOf(table, row),
      firstFrame: table.numbers[row]!,
      frameCount: 0,
      isOnlySyn: true,
      marks: new Set(),
    };
    half.wrapped.frameCount++;
    half.wrapped.isOnlySyn &&= (table.tcpFlags[row]! & (TCP_SYN | TCP_ACK)) === TCP_SYN;
    if (mark !== 0) half.wrapped.marks.add(mark);
  }
}

/** Two sides, two directions. */
const SLOTS = 4;
