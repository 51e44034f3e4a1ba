import type { FrameTable } from './frame-table.ts';
import type { StreamRange } from './types.ts';

/**
 * Which frames hold which bytes of one direction of a connection on one interface: captured bytes
 * only, in order of the stream, without overlap. Where bytes were sent twice the first sighting
 * stands here.
 */
export class StreamSegments {
  /** Stream position of each segment's first byte, ascending. */
  readonly starts: readonly number[];
  readonly lengths: readonly number[];
  readonly #table: FrameTable;
  readonly #rows: readonly number[];
  /** Bytes to skip of each segment's frame; undefined where that is none of any. */
  readonly #skips: readonly number[] | undefined;

  constructor(
    table: FrameTable,
    starts: readonly number[],
    lengths: readonly number[],
    rows: readonly number[],
    skips?: readonly number[],
  ) {
    this.#table = table;
    this.starts = starts;
    this.lengths = lengths;
    this.#rows = rows;
    this.#skips = skips;
  }

  get count(): number {
    return this.starts.length;
  }

  /** The whole file that the segments lie in. */
  get file(): Buffer {
    return this.#table.file;
  }

  /** Row of a segment's frame in the interface's table. */
  row(index: number): number {
    return this.#rows[index]!;
  }

  /** Where a segment's bytes are in the file. */
  offset(index: number): number {
    const row = this.#rows[index]!;
    const { dataOffsets, payloadOffsets } = this.#table;
    return dataOffsets[row]! + payloadOffsets[row]! + (this.#skips?.[index] ?? 0);
  }

  /** Frames that hold any byte of the range, in order of the stream. */
  framesOf({ start, end }: StreamRange): number[] {
    const frames: number[] = [];
    for (let i = this.indexAt(start); i < this.count && this.starts[i]! < end; i++) {
      const number = this.#table.numbers[this.#rows[i]!]!;
      const isHeld = this.starts[i]! + this.lengths[i]! > start;
      if (isHeld && frames.at(-1) !== number) frames.push(number);
    }
    return frames;
  }

  /** The frame that holds the byte at `position`; undefined in a gap. */
  frameAt(position: number): number | undefined {
    const i = this.indexAt(position);
    const isBefore = i < this.count && this.starts[i]! <= position;
    if (!isBefore || position >= this.starts[i]! + this.lengths[i]!) return undefined;
    return this.#table.numbers[this.#rows[i]!];
  }

  /** The bytes of one segment, in the file's own memory. */
  bytes(index: number): Buffer {
    const offset = this.offset(index);
    return this.#table.file.subarray(offset, offset + this.lengths[index]!);
  }

  /** Index of the last segment that starts at or before `position`, 0 where there is none. */
  indexAt(position: number): number {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle]! <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
