import { TCP_FLAG } from '../../../dataplane/wire/tcp.ts';
import type { FrameTable } from './frame-table.ts';

const NONE: readonly number[] = Object.freeze([]);

/** One direction of a connection while its frames are being collected. */
export class TcpHalf {
  readonly connection: number;
  readonly side: 'client' | 'server';
  /** Rows of the frame table, in order of the file. */
  readonly rows: number[] = [];
  initialSequence: number | undefined;
  // Lists that mostly stay empty are not made before they are needed.
  synFrames: readonly number[] = NONE;
  finFrames: readonly number[] = NONE;
  rstFrames: readonly number[] = NONE;
  marks: readonly number[] = NONE;
  ttls: readonly number[] = NONE;
  #lastMark = 0;
  #lastTtl = -1;
  #hasAcknowledged = false;
  /** As a signed word: the engine keeps those in place. */
  #acknowledged = 0;

  constructor(connection: number, side: 'client' | 'server') {
    this.connection = connection;
    this.side = side;
  }

  /** Highest acknowledgement that this side sent, modulo 2^32; undefined where it sent none. */
  get highestAcknowledgement(): number | undefined {
    return this.#hasAcknowledged ? this.#acknowledged >>> 0 : undefined;
  }

  add(table: FrameTable, row: number): void {
    this.rows.push(row);
    const flags = table.tcpFlags[row]!;
    if (flags & (TCP_FLAG.syn | TCP_FLAG.fin | TCP_FLAG.rst)) this.#addFlags(table, row, flags);
    if (flags & TCP_FLAG.ack) {
      const acknowledgement = table.acknowledgements[row]! | 0;
      if (!this.#hasAcknowledged || ((acknowledgement - this.#acknowledged) | 0) > 0) {
        this.#acknowledged = acknowledgement;
        this.#hasAcknowledged = true;
      }
    }
    const mark = table.marks[row]!;
    if (mark !== this.#lastMark && mark !== 0) {
      this.#lastMark = mark;
      if (!this.marks.includes(mark)) this.marks = appended(this.marks, mark);
    }
    const ttl = table.ttls[row]!;
    if (ttl !== this.#lastTtl) {
      this.#lastTtl = ttl;
      if (!this.ttls.includes(ttl)) this.ttls = appended(this.ttls, ttl);
    }
  }

  #addFlags(table: FrameTable, row: number, flags: number): void {
    const number = table.numbers[row]!;
    if (flags & TCP_FLAG.syn) {
      this.initialSequence = table.sequences[row]!;
      this.synFrames = appended(this.synFrames, number);
    }
    if (flags & TCP_FLAG.fin) this.finFrames = appended(this.finFrames, number);
    if (flags & TCP_FLAG.rst) this.rstFrames = appended(this.rstFrames, number);
  }
}

function appended(list: readonly number[], value: number): readonly number[] {
  if (list === NONE) return [value];
  (list as number[]).push(value);
  return list;
}
