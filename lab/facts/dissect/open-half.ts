import type { FrameTable } from './frame-table.ts';
import { reassemble, type Reassembled } from './reassembly.ts';
import type { StreamSegments } from './segments.ts';
import type { TcpHalf } from './tcp-half.ts';
import type { ConnectionHalf, StreamRange } from './types.ts';

/** One direction of a connection; its payload is put in order when that is first asked for. */
export class OpenHalf implements ConnectionHalf {
  readonly #table: FrameTable;
  readonly #half: TcpHalf;
  readonly #other: TcpHalf;
  #read: Reassembled | undefined;

  constructor(table: FrameTable, half: TcpHalf, other: TcpHalf) {
    this.#table = table;
    this.#half = half;
    this.#other = other;
  }

  get frames(): number {
    return this.#half.rows.length;
  }

  get initialSequence(): number | undefined {
    return this.#half.initialSequence;
  }

  get synFrames(): readonly number[] {
    return this.#half.synFrames;
  }

  get finFrames(): readonly number[] {
    return this.#half.finFrames;
  }

  get rstFrames(): readonly number[] {
    return this.#half.rstFrames;
  }

  get marks(): readonly number[] {
    return this.#half.marks;
  }

  get ttls(): readonly number[] {
    return this.#half.ttls;
  }

  get segments(): StreamSegments {
    return this.#reassembled.segments;
  }

  get streamBytes(): number {
    return this.#reassembled.streamBytes;
  }

  get retransmittedBytes(): number {
    return this.#reassembled.retransmittedBytes;
  }

  get outOfOrderFrames(): readonly number[] {
    return this.#reassembled.outOfOrderFrames;
  }

  get conflictingFrames(): readonly number[] {
    return this.#reassembled.conflictingFrames;
  }

  get gaps(): readonly StreamRange[] {
    return this.#reassembled.gaps;
  }

  /** The first byte of the stream, -1 where it was not seen. Cheap where frames came in order. */
  get firstByte(): number {
    const { payloadBytes, sequences } = this.#table;
    const { rows, initialSequence } = this.#half;
    for (let i = 0; i < rows.length && i < 4 && initialSequence !== undefined; i++) {
      const row = rows[i]!;
      if (payloadBytes[row] === 0) continue;
      if (sequences[row] !== (initialSequence + 1) >>> 0) break;
      return this.#table.payload(row)[0] ?? -1;
    }
    const { segments } = this;
    return segments.count > 0 && segments.starts[0] === 0 ? segments.bytes(0)[0]! : -1;
  }

  get #reassembled(): Reassembled {
    this.#read ??= reassemble(this.#table, this.#half, this.#other.highestAcknowledgement);
    return this.#read;
  }
}
