import { formatIpv4, formatIpv6 } from '../../../dataplane/wire/ip-address.ts';
import { FRAME_META } from './frame-meta.ts';
import { describeFrame } from './describe-frame.ts';
import type { Frame } from './types.ts';

const INITIAL_ROWS = 1024;

/**
 * The frames of one interface in columns, in order of the file. Row `i` is one frame; addresses,
 * ports and TTL are those of the innermost IP header. Columns are longer than `count`.
 */
export class FrameTable {
  /** The whole capture file. */
  readonly file: Buffer;
  readonly linkType: number;
  count = 0;
  /** Unix nanoseconds that `times` counts from. */
  readonly baseNs: bigint;
  /** Frame number in the file, from 1. */
  numbers = new Uint32Array(INITIAL_ROWS);
  /** Nanoseconds since `baseNs`. */
  times = new Float64Array(INITIAL_ROWS);
  dataOffsets = new Float64Array(INITIAL_ROWS);
  capturedBytes = new Uint32Array(INITIAL_ROWS);
  originalBytes = new Uint32Array(INITIAL_ROWS);
  /** Socket marks, 0 for none. */
  marks = new Uint32Array(INITIAL_ROWS);
  meta = new Uint8Array(INITIAL_ROWS);
  /** IP protocol of the innermost header; 0 where there is no IP. */
  protocols = new Uint8Array(INITIAL_ROWS);
  ttls = new Uint8Array(INITIAL_ROWS);
  ipIds = new Uint16Array(INITIAL_ROWS);
  /** Offset of the innermost IP header in the frame. */
  ipOffsets = new Uint16Array(INITIAL_ROWS);
  sourcePorts = new Uint16Array(INITIAL_ROWS);
  destinationPorts = new Uint16Array(INITIAL_ROWS);
  /** TCP fields, 0 for others. */
  sequences = new Uint32Array(INITIAL_ROWS);
  acknowledgements = new Uint32Array(INITIAL_ROWS);
  tcpFlags = new Uint8Array(INITIAL_ROWS);
  windows = new Uint16Array(INITIAL_ROWS);
  /** Offset in the frame of what TCP or UDP carries. */
  payloadOffsets = new Uint16Array(INITIAL_ROWS);
  /** Its length by the headers, whatever was captured of it. */
  payloadBytes = new Uint32Array(INITIAL_ROWS);
  /** Index of the interface's connection, -1 for none. */
  connections = new Int32Array(INITIAL_ROWS);

  /** Texts of IPv4 addresses that were asked for. */
  readonly #addresses = new Map<number, string>();

  constructor(file: Buffer, linkType: number, baseNs: bigint) {
    this.file = file;
    this.linkType = linkType;
    this.baseNs = baseNs;
  }

  /** Row of a frame number; -1 where the interface has none of that number. */
  rowOf(frameNumber: number): number {
    let low = 0;
    let high = this.count - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const number = this.numbers[middle]!;
      if (number === frameNumber) return middle;
      if (number < frameNumber) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** The frame of a number, decoded layer by layer; undefined where there is none. */
  at(frameNumber: number): Frame | undefined {
    const row = this.rowOf(frameNumber);
    return row < 0 ? undefined : describeFrame(this, row);
  }

  timeNs(row: number): bigint {
    return this.baseNs + BigInt(this.times[row]!);
  }

  bytes(row: number): Buffer {
    const offset = this.dataOffsets[row]!;
    return this.file.subarray(offset, offset + this.capturedBytes[row]!);
  }

  /** Captured bytes of what TCP or UDP carries. */
  payload(row: number): Buffer {
    const start = this.dataOffsets[row]! + this.payloadOffsets[row]!;
    const captured = this.dataOffsets[row]! + this.capturedBytes[row]!;
    return this.file.subarray(start, Math.min(captured, start + this.payloadBytes[row]!));
  }

  /** Source address of the innermost IP header, '' without one. */
  source(row: number): string {
    return this.#address(row, 12, 8);
  }

  destination(row: number): string {
    return this.#address(row, 16, 24);
  }

  #address(row: number, offset4: number, offset6: number): string {
    if (this.ipOffsets[row] === 0) return '';
    const at = this.dataOffsets[row]! + this.ipOffsets[row]!;
    if (this.meta[row]! & FRAME_META.ipv6) return formatIpv6(this.file, at + offset6);
    const address = this.file.readInt32BE(at + offset4);
    let text = this.#addresses.get(address);
    if (text === undefined) {
      text = formatIpv4(this.file, at + offset4);
      this.#addresses.set(address, text);
    }
    return text;
  }

  /** Makes room for one more row; returns its index. */
  addRow(): number {
    if (this.count === this.numbers.length) this.#grow();
    return this.count++;
  }

  #grow(): void {
    const rows = this.count * 2;
    this.numbers = grown(this.numbers, new Uint32Array(rows));
    this.times = grown(this.times, new Float64Array(rows));
    this.dataOffsets = grown(this.dataOffsets, new Float64Array(rows));
    this.capturedBytes = grown(this.capturedBytes, new Uint32Array(rows));
    this.originalBytes = grown(this.originalBytes, new Uint32Array(rows));
    this.marks = grown(this.marks, new Uint32Array(rows));
    this.meta = grown(this.meta, new Uint8Array(rows));
    this.protocols = grown(this.protocols, new Uint8Array(rows));
    this.ttls = grown(this.ttls, new Uint8Array(rows));
    this.ipIds = grown(this.ipIds, new Uint16Array(rows));
    this.ipOffsets = grown(this.ipOffsets, new Uint16Array(rows));
    this.sourcePorts = grown(this.sourcePorts, new Uint16Array(rows));
    this.destinationPorts = grown(this.destinationPorts, new Uint16Array(rows));
    this.sequences = grown(this.sequences, new Uint32Array(rows));
    this.acknowledgements = grown(this.acknowledgements, new Uint32Array(rows));
    this.tcpFlags = grown(this.tcpFlags, new Uint8Array(rows));
    this.windows = grown(this.windows, new Uint16Array(rows));
    this.payloadOffsets = grown(this.payloadOffsets, new Uint16Array(rows));
    this.payloadBytes = grown(this.payloadBytes, new Uint32Array(rows));
    this.connections = grown(this.connections, new Int32Array(rows));
  }
}

function grown<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from);
  return to;
}
