import { TCP_FLAG } from '../../../dataplane/wire/tcp.ts';
import type { FrameTable } from './frame-table.ts';

/** One direction of a connection while its frames are being collected. */
export class TcpHalf {
  readonly connection: number;
  readonly side: 'client' | 'server';
  /** Rows of the frame table, in order of the file. */
  readonly rows: number[] = [];
  initialSequence: number | undefined;
  readonly synFrames: number[] = [];
  readonly finFrames: number[] = [];
  readonly rstFrames: number[] = [];
  readonly marks: number[] = [];
  readonly ttls: number[] = [];
  /** Highest acknowledgement that this side sent, modulo 2^32. */
  highestAcknowledgement: number | undefined;

  constructor(connection: number, side: 'client' | 'server') {
    this.connection = connection;
    this.side = side;
  }

  add(table: FrameTable, row: number): void {
    this.rows.push(row);
    const flags = table.tcpFlags[row]!;
    if (flags & (TCP_FLAG.syn | TCP_FLAG.fin | TCP_FLAG.rst)) this.#addFlags(table, row, flags);
    if (flags & TCP_FLAG.ack) {
      const acknowledgement = table.acknowledgements[row]!;
      const highest = this.highestAcknowledgement;
      if (highest === undefined || ((acknowledgement - highest) | 0) > 0) {
        this.highestAcknowledgement = acknowledgement;
      }
    }
    const mark = table.marks[row]!;
    if (mark !== 0 && !this.marks.includes(mark)) this.marks.push(mark);
    const ttl = table.ttls[row]!;
    if (!this.ttls.includes(ttl)) this.ttls.push(ttl);
  }

  #addFlags(table: FrameTable, row: number, flags: number): void {
    const number = table.numbers[row]!;
    if (flags & TCP_FLAG.syn) {
      this.initialSequence = table.sequences[row]!;
      this.synFrames.push(number);
    }
    if (flags & TCP_FLAG.fin) this.finFrames.push(number);
    if (flags & TCP_FLAG.rst) this.rstFrames.push(number);
  }
}
