import type { Encapsulation } from './dissect/types.ts';

/**
 * One direction of one conversation on one interface: the atom of everything else. Halves are joined
 * to conversations only afterwards, because under REDIRECT the two directions of one connection
 * carry different addresses on loopback.
 */
export interface HalfFlow {
  readonly direction: Direction;
  readonly protocol: 'tcp' | 'udp';
  /** `ip:port`, IPv6 in brackets. */
  readonly source: string;
  readonly destination: string;
  /** Sequence number of its SYN (or SYN-ACK); absent when it began before the capture. */
  readonly syn?: number;
  /** True when the first frame opens a connection: SYN without ACK. */
  readonly opens: boolean;
  readonly firstSequence: number;
  readonly firstAcknowledgment: number;
  readonly firstIpId: number;
  readonly firstPayloadBytes: number;
  readonly firstTtl: number;
  /** Nanoseconds since the base of the run's times, as is `lastNs`. */
  readonly firstNs: number;
  lastNs: number;
  bytes: number;
  payloadBytes: number;
  clippedFrames: number;
  hasFin: boolean;
  hasRst: boolean;
  /** First frame was a RST that answers a SYN. */
  readonly refuses: boolean;
  readonly marks: Set<number>;
  /** Its frames that were inside an overlay; absent when none was. */
  wrapped?: WrappedFrames;
  /** Marks of the frames that were in no overlay. */
  readonly bareMarks: Set<number>;
  /** How many frames, the numbers of the first of them, and of the last. */
  frameCount: number;
  readonly firstFrames: number[];
  lastFrame: number;
}

/** The frames of a half that were inside an overlay: how the first of them was wrapped. */
export interface WrappedFrames {
  readonly layers: readonly Encapsulation[];
  readonly firstFrame: number;
  frameCount: number;
  /** Whether each of them opens a connection: SYN without ACK. */
  isOnlySyn: boolean;
  readonly marks: Set<number>;
}

/** Frame numbers a half keeps; a transfer of gigabytes must not cost an array of all of them. */
export const LISTED_FRAMES = 32;

/** Which way a frame passed an interface, from its namespace's point of view. */
export type Direction = 'in' | 'out' | 'loop';

/** The other way through the same interface; loopback has only one. */
export function turned(direction: Direction): Direction {
  return direction === 'loop' ? 'loop' : direction === 'in' ? 'out' : 'in';
}
