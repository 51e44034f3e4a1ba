import type { StreamSegments } from './segments.ts';
import type { ConnectionHalf, StreamRange } from './types.ts';

/** What one side of a conversation sent, up to the first gap, in one sighting's memory. */
export class ByteStream {
  /** Position after the last byte that can be read. */
  readonly end: number;
  /** Bytes of the whole stream, gaps and what follows them included. */
  readonly bytes: number;
  readonly segments: StreamSegments;
  /** Ranges without gap that follow the first gap. */
  readonly later: readonly StreamRange[];
  /** Index of the segment of the last read: reads go forward. */
  #near = 0;

  constructor({ segments, gaps, streamBytes }: ConnectionHalf) {
    this.segments = segments;
    this.bytes = streamBytes;
    this.end = gaps[0]?.start ?? streamBytes;
    this.later = gaps
      .map(({ end }, i) => ({ start: end, end: gaps[i + 1]?.start ?? streamBytes }))
      .filter(({ start, end }) => start < end);
  }

  /** Bytes `[start, end)`, which must hold no gap; copied only where frames split them. */
  read(start: number, end: number): Buffer {
    const { segments } = this;
    const { starts, lengths } = segments;
    let i = this.#near;
    if (starts[i]! > start) i = segments.indexAt(start);
    while (starts[i]! + lengths[i]! <= start) i++;
    this.#near = i;
    const from = start - starts[i]!;
    if (end <= starts[i]! + lengths[i]!) {
      return segments.bytes(i).subarray(from, from + end - start);
    }
    const copy = Buffer.allocUnsafe(end - start);
    for (let at = start; at < end; i++) {
      const piece = segments.bytes(i).subarray(at - starts[i]!);
      piece.copy(copy, at - start, 0, Math.min(piece.length, end - at));
      at += Math.min(piece.length, end - at);
    }
    return copy;
  }
}

/**
 * What the applications of one side said, in pieces: TCP payload as it is, or the content of TLS
 * records. Each piece knows which bytes of the TCP stream it came in.
 */
export class PlainStream {
  readonly pieces: Buffer[] = [];
  /** Position of each piece in this stream. */
  readonly offsets: number[] = [];
  /** Range of each piece in the TCP stream. */
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  length = 0;

  push(piece: Buffer, start: number, end: number): void {
    if (piece.length === 0) return;
    this.pieces.push(piece);
    this.offsets.push(this.length);
    this.starts.push(start);
    this.ends.push(end);
    this.length += piece.length;
  }

  /** The first bytes, `count` at most. */
  head(count: number): Buffer {
    const first = this.pieces[0];
    if (!first || first.length >= count) return first?.subarray(0, count) ?? Buffer.alloc(0);
    const few = this.pieces.slice(0, count);
    return Buffer.concat(few, Math.min(count, this.length));
  }
}

/** The segments of a stream from `start` on, as pieces. */
export function plainOf(stream: ByteStream, start: number): PlainStream {
  const plain = new PlainStream();
  const { segments } = stream;
  for (let i = segments.indexAt(start); i < segments.count; i++) {
    const position = segments.starts[i]!;
    if (position >= stream.end) break;
    const skip = Math.max(0, start - position);
    const piece = segments.bytes(i).subarray(skip);
    plain.push(piece, position + skip, position + skip + piece.length);
  }
  return plain;
}
