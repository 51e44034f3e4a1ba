import type { StreamRange } from './types.ts';

/**
 * Which frames hold which bytes of one direction of a connection on one interface: captured bytes
 * only, in order of the stream, without overlap. Where bytes were sent twice the first sighting
 * stands here.
 */
export class StreamSegments {
  /** Stream position of each segment's first byte, ascending. */
  readonly starts: Float64Array;
  readonly lengths: Uint32Array;
  readonly frameNumbers: Uint32Array;
  /** Where each segment's bytes are in the interface's file. */
  readonly offsets: Float64Array;
  readonly #file: Buffer;

  constructor(
    file: Buffer,
    starts: Float64Array,
    lengths: Uint32Array,
    frameNumbers: Uint32Array,
    offsets: Float64Array,
  ) {
    this.#file = file;
    this.starts = starts;
    this.lengths = lengths;
    this.frameNumbers = frameNumbers;
    this.offsets = offsets;
  }

  get count(): number {
    return this.starts.length;
  }

  /** Frames that hold any byte of the range, in order of the stream. */
  framesOf({ start, end }: StreamRange): number[] {
    const frames: number[] = [];
    for (let i = this.indexAt(start); i < this.count && this.starts[i]! < end; i++) {
      const holds = this.starts[i]! + this.lengths[i]! > start;
      if (holds && frames.at(-1) !== this.frameNumbers[i]) frames.push(this.frameNumbers[i]!);
    }
    return frames;
  }

  /** The frame that holds the byte at `position`; undefined in a gap. */
  frameAt(position: number): number | undefined {
    const i = this.indexAt(position);
    const isHeld = i < this.count && this.starts[i]! <= position;
    return isHeld && position < this.starts[i]! + this.lengths[i]!
      ? this.frameNumbers[i]
      : undefined;
  }

  /** The bytes of one segment, in the file's own memory. */
  bytes(index: number): Buffer {
    const offset = this.offsets[index]!;
    return this.#file.subarray(offset, offset + this.lengths[index]!);
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
