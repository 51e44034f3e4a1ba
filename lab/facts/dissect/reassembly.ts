import { FRAME_META } from './frame-meta.ts';
import type { FrameTable } from './frame-table.ts';
import { StreamSegments } from './segments.ts';
import type { TcpHalf } from './tcp-half.ts';
import type { StreamRange } from './types.ts';

export interface Reassembled {
  readonly segments: StreamSegments;
  readonly streamBytes: number;
  readonly retransmittedBytes: number;
  readonly outOfOrderFrames: readonly number[];
  readonly conflictingFrames: readonly number[];
  readonly gaps: readonly StreamRange[];
}

interface Gap {
  start: number;
  end: number;
}

/**
 * Puts the payload of one direction in order. Positions count from the byte after the SYN, or from
 * the first byte seen where there was none. `acknowledged` is the peer's highest acknowledgement:
 * bytes that it had and we never saw are a gap, too.
 */
export function reassemble(
  table: FrameTable,
  half: TcpHalf,
  acknowledged: number | undefined,
): Reassembled {
  return inOrder(table, half, acknowledged) ?? assemble(table, half, acknowledged);
}

/** The common case, without any bookkeeping; undefined where there is anything odd. */
function inOrder(
  table: FrameTable,
  half: TcpHalf,
  acknowledged: number | undefined,
): Reassembled | undefined {
  const { payloadBytes, sequences, meta } = table;
  const starts: number[] = [];
  const lengths: number[] = [];
  const rows: number[] = [];
  let high = 0;
  const base = baseOf(table, half);
  for (const row of half.rows) {
    const bytes = payloadBytes[row]!;
    if (bytes === 0) continue;
    const isNext = ((sequences[row]! - base - high) | 0) === 0;
    if (!isNext || meta[row]! & FRAME_META.clipped) return undefined;
    starts.push(high);
    lengths.push(bytes);
    rows.push(row);
    high += bytes;
  }
  if (acknowledged !== undefined && half.initialSequence !== undefined) {
    const unseen = ((acknowledged - base - high) | 0) - (half.finFrames.length > 0 ? 1 : 0);
    if (unseen > 0) return undefined;
  }
  return {
    segments: new StreamSegments(table, starts, lengths, rows),
    streamBytes: high,
    retransmittedBytes: 0,
    outOfOrderFrames: NONE,
    conflictingFrames: NONE,
    gaps: NO_GAPS,
  };
}

const NONE: readonly number[] = Object.freeze([]);
const NO_GAPS: readonly StreamRange[] = Object.freeze([]);

/** Sequence number of the first byte: after the SYN, or that of the first byte seen. */
function baseOf(table: FrameTable, half: TcpHalf): number {
  if (half.initialSequence !== undefined) return (half.initialSequence + 1) >>> 0;
  const first = half.rows.find((row) => table.payloadBytes[row]! > 0);
  return first === undefined ? 0 : table.sequences[first]!;
}

function assemble(table: FrameTable, half: TcpHalf, acknowledged: number | undefined): Reassembled {
  const assembler = new Assembler(table);
  const base = baseOf(table, half);
  for (const row of half.rows) {
    const bytes = table.payloadBytes[row]!;
    if (bytes === 0) continue;
    assembler.add(row, assembler.positionOf(base, table.sequences[row]!), bytes);
  }
  if (acknowledged !== undefined && half.initialSequence !== undefined) {
    // A FIN takes a sequence number without being a byte.
    const finBytes = half.finFrames.length > 0 ? 1 : 0;
    assembler.acknowledge(assembler.positionOf(base, acknowledged) - finBytes);
  }
  return assembler.finish();
}

class Assembler {
  readonly #table: FrameTable;
  readonly #starts: number[] = [];
  readonly #lengths: number[] = [];
  readonly #rows: number[] = [];
  /** Offset of each piece in its frame's payload. */
  readonly #skips: number[] = [];
  readonly #gaps: Gap[] = [];
  readonly #repeats: { row: number; position: number; skip: number; bytes: number }[] = [];
  readonly #outOfOrder: number[] = [];
  #high = 0;
  #isSorted = true;
  #retransmitted = 0;

  constructor(table: FrameTable) {
    this.#table = table;
  }

  /** Stream position of a sequence number, taken as the nearest to what is expected next. */
  positionOf(base: number, sequence: number): number {
    const expected = (base + this.#high) | 0;
    return this.#high + ((sequence - expected) | 0);
  }

  add(row: number, position: number, bytes: number): void {
    const captured = this.#capturedPayload(row, bytes);
    const end = position + bytes;
    if (position === this.#high) this.#append(row, position, captured, 0, bytes);
    else if (position > this.#high) {
      this.#gaps.push({ start: this.#high, end: position });
      this.#append(row, position, captured, 0, bytes);
    } else {
      this.#addLate(row, position, Math.min(end, this.#high), captured);
      const skip = this.#high - position;
      if (end > this.#high) {
        this.#append(row, this.#high, Math.max(0, captured - skip), skip, end - this.#high);
      }
    }
  }

  acknowledge(position: number): void {
    if (position <= this.#high) return;
    this.#gaps.push({ start: this.#high, end: position });
    this.#high = position;
  }

  finish(): Reassembled {
    const order = this.#order();
    const pick = (column: readonly number[]): number[] => order.map((piece) => column[piece]!);
    const segments = new StreamSegments(
      this.#table,
      pick(this.#starts),
      pick(this.#lengths),
      pick(this.#rows),
      pick(this.#skips),
    );
    return {
      segments,
      streamBytes: this.#high,
      retransmittedBytes: this.#retransmitted,
      outOfOrderFrames: this.#outOfOrder,
      conflictingFrames: this.#conflicts(segments),
      gaps: this.#gaps.sort((a, b) => a.start - b.start),
    };
  }

  #append(row: number, position: number, captured: number, skip: number, bytes: number): void {
    const held = Math.min(captured, bytes);
    if (held > 0) this.#push(row, position, held, skip);
    this.#high = position + bytes;
    if (held < bytes) this.#gaps.push({ start: position + held, end: this.#high });
  }

  #push(row: number, position: number, length: number, skip: number): void {
    this.#starts.push(position);
    this.#lengths.push(length);
    this.#rows.push(row);
    this.#skips.push(skip);
  }

  /** Takes from `[position, end)`, which lies below what was seen, what fills gaps. */
  #addLate(row: number, position: number, end: number, captured: number): void {
    let filled = 0;
    for (let i = 0; i < this.#gaps.length; i++) {
      const gap = this.#gaps[i]!;
      const from = Math.max(gap.start, position);
      const to = Math.min(gap.end, end, position + captured);
      if (from >= to) continue;
      this.#push(row, from, to - from, from - position);
      filled += to - from;
      this.#isSorted = false;
      const rest: Gap[] = [];
      if (gap.start < from) rest.push({ start: gap.start, end: from });
      if (to < gap.end) rest.push({ start: to, end: gap.end });
      this.#gaps.splice(i, 1, ...rest);
      i += rest.length - 1;
    }
    if (filled > 0) this.#outOfOrder.push(this.#table.numbers[row]!);
    // Keep-alive probes repeat the byte before the stream; that is none of ours.
    const start = Math.max(0, position);
    const repeated = end - start - filled;
    if (repeated <= 0) return;
    this.#retransmitted += repeated;
    const bytes = Math.min(end, position + captured) - start;
    if (bytes > 0) this.#repeats.push({ row, position: start, skip: start - position, bytes });
  }

  #order(): number[] {
    const order = [...this.#starts.keys()];
    return this.#isSorted ? order : order.sort((a, b) => this.#starts[a]! - this.#starts[b]!);
  }

  #conflicts(segments: StreamSegments): number[] {
    const { file, dataOffsets, payloadOffsets, numbers } = this.#table;
    const conflicting: number[] = [];
    for (const { row, position, skip, bytes } of this.#repeats) {
      const at = dataOffsets[row]! + payloadOffsets[row]! + skip;
      if (!agrees(segments, position, file.subarray(at, at + bytes))) {
        conflicting.push(numbers[row]!);
      }
    }
    return conflicting;
  }

  #capturedPayload(row: number, bytes: number): number {
    const { meta, capturedBytes, payloadOffsets } = this.#table;
    if ((meta[row]! & FRAME_META.clipped) === 0) return bytes;
    return Math.max(0, Math.min(bytes, capturedBytes[row]! - payloadOffsets[row]!));
  }
}

/** True where each of `bytes` that the segments hold, too, is the same there. */
function agrees(segments: StreamSegments, position: number, bytes: Buffer): boolean {
  const end = position + bytes.length;
  for (let i = segments.indexAt(position); i < segments.count; i++) {
    const start = segments.starts[i]!;
    if (start >= end) return true;
    const from = Math.max(start, position);
    const to = Math.min(start + segments.lengths[i]!, end);
    if (from >= to) continue;
    const held = segments.bytes(i).subarray(from - start, to - start);
    if (held.compare(bytes, from - position, to - position) !== 0) return false;
  }
  return true;
}
