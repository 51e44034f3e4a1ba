import type { StreamSegments } from './segments.ts';
import type { ConnectionHalf, StreamRange } from './types.ts';

/** What one side of a conversation sent, up to the first gap, in one sighting's memory. */
export class ByteStream {
  /** Position after the last byte that can be read. */
  readonly end: number;
  /** Bytes of the whole stream, gaps and what follows them included. */
  readonly bytes: number;
  readonly segments: StreamSegments;
  readonly #gaps: readonly StreamRange[];
  /** Index of the segment of the last read: reads go forward. */
  #near = 0;

  constructor({ segments, gaps, streamBytes }: ConnectionHalf) {
    this.segments = segments;
    this.bytes = streamBytes;
    this.#gaps = gaps;
    this.end = gaps.length > 0 ? gaps[0]!.start : streamBytes;
  }

  /** Ranges without gap that follow the first gap. */
  later(): StreamRange[] {
    return this.#gaps
      .map(({ end }, i) => ({ start: end, end: this.#gaps[i + 1]?.start ?? this.bytes }))
      .filter(({ start, end }) => start < end);
  }

  /**
   * Where bytes `[start, end)` lie together in `segments.file`; -1 where frames split them. They
   * must hold no gap.
   */
  locate(start: number, end: number): number {
    const { segments } = this;
    const { starts, lengths } = segments;
    let i = this.#near;
    if (starts[i]! > start) i = segments.indexAt(start);
    while (starts[i]! + lengths[i]! <= start) i++;
    this.#near = i;
    const from = start - starts[i]!;
    return end - start <= lengths[i]! - from ? segments.offset(i) + from : -1;
  }

  /** Bytes `[start, end)`, which must hold no gap; copied only where frames split them. */
  read(start: number, end: number): Buffer {
    if (start >= end) return EMPTY;
    const { segments } = this;
    const offset = this.locate(start, end);
    if (offset >= 0) return segments.file.subarray(offset, offset + end - start);
    const copy = Buffer.allocUnsafe(end - start);
    let at = start;
    for (let i = this.#near; at < end; i++) {
      const from = segments.offset(i) + at - segments.starts[i]!;
      const bytes = Math.min(segments.starts[i]! + segments.lengths[i]!, end) - at;
      segments.file.copy(copy, at - start, from, from + bytes);
      at += bytes;
    }
    return copy;
  }
}

const EMPTY = Buffer.alloc(0);
const NONE = Object.freeze<number[]>([]) as number[];

/**
 * What the applications of one side said, in pieces: TCP payload as it is, or the content of TLS
 * records. Each piece knows which bytes of the TCP stream it came in.
 */
export class PlainStream {
  length = 0;
  #offsets: number[] = NONE;
  #starts: number[] = NONE;
  #ends: number[] = NONE;
  #bytes: Buffer;
  #pieces: Buffer[] | undefined;
  /** Segments that have not become pieces yet: most streams are never looked at. */
  #source: { readonly stream: ByteStream; readonly start: number } | undefined;

  /** A stream of records, which hold up to `capacity` bytes together. */
  constructor(capacity = 0) {
    this.#bytes = capacity > 0 ? Buffer.allocUnsafeSlow(capacity) : EMPTY;
  }

  /** The stream of what TCP carried from `start` on. */
  static ofTcp(stream: ByteStream, start: number): PlainStream {
    const plain = new PlainStream();
    plain.length = Math.max(0, stream.end - start);
    plain.#source = { stream, start };
    return plain;
  }

  /** Position of each piece in this stream. */
  get offsets(): readonly number[] {
    this.#load();
    return this.#offsets;
  }

  /** Where each piece starts in the TCP stream. */
  get starts(): readonly number[] {
    this.#load();
    return this.#starts;
  }

  get ends(): readonly number[] {
    this.#load();
    return this.#ends;
  }

  /** All that was said, in one piece. */
  get bytes(): Buffer {
    this.#load();
    if (this.#bytes.length === 0 && this.#pieces) this.#bytes = Buffer.concat(this.#pieces);
    return this.#bytes.subarray(0, this.length);
  }

  get pieces(): readonly Buffer[] {
    this.#load();
    this.#pieces ??= this.#offsets.map((offset, i) =>
      this.#bytes.subarray(offset, this.#offsets[i + 1] ?? this.length),
    );
    return this.#pieces;
  }

  /** Memory where the next record's content goes. */
  get free(): Buffer {
    return this.#bytes;
  }

  /** Takes the `length` bytes written to `free` at `this.length` as the next piece. */
  commit(length: number, start: number, end: number): void {
    if (length === 0) return;
    if (this.#offsets === NONE) {
      this.#offsets = [];
      this.#starts = [];
      this.#ends = [];
    }
    this.#offsets.push(this.length);
    this.#starts.push(start);
    this.#ends.push(end);
    this.length += length;
  }

  /** The first bytes, `count` at most. */
  head(count: number): Buffer {
    const bytes = Math.min(count, this.length);
    if (!this.#source) return this.bytes.subarray(0, bytes);
    const { stream, start } = this.#source;
    return stream.read(start, start + bytes);
  }

  /** Makes pieces of what TCP carried, if that has not been done. */
  #load(): void {
    if (!this.#source) return;
    const { stream, start } = this.#source;
    this.#source = undefined;
    const { segments } = stream;
    this.#pieces = [];
    this.length = 0;
    for (let i = segments.indexAt(start); i < segments.count; i++) {
      const position = segments.starts[i]!;
      if (position >= stream.end) break;
      const skip = Math.max(0, start - position);
      const piece = segments.bytes(i).subarray(skip);
      if (piece.length === 0) continue;
      this.#pieces.push(piece);
      this.commit(piece.length, position + skip, position + skip + piece.length);
    }
  }
}
