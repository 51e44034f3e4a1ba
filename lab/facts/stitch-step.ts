import type { Connection, ConnectStream, Sighting } from './facts.ts';

/** Mark of every socket of a ztunnel, 0x539/0xfff (facts: redirect §2.1). */
const PROXY_MARK = 0x539;
const MARK_MASK = 0xfff;

/** One connection of a path, as far as it has been followed. */
export interface Step {
  readonly connection: Connection;
  /** Set when the connection is a tunnel: the stream that carries this request. */
  readonly stream?: ConnectStream;
  /** When a proxy passed the request on to this connection. */
  readonly sinceNs?: string;
  /** The same, on a connection that had carried another before. */
  readonly keptSinceNs?: string;
}

/** Whether a ztunnel's own sockets sent some of the frames that carried these marks. */
export function isMarked(marks: Sighting['marks']): boolean {
  return marks.some((mark) => (mark & MARK_MASK) === PROXY_MARK);
}
