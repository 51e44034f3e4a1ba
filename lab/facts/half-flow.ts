/** Bits of the TCP flags byte (RFC 9293 §3.1). */
export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_ACK = 0x10;

/** What flow tracking needs of one frame. Times are nanoseconds since the recording began. */
export interface FrameFields {
  /** Counts from 1 in its file. */
  readonly number: number;
  readonly timeNs: number;
  readonly direction: 'in' | 'out' | 'loop';
  readonly mark: number;
  readonly protocol: 'tcp' | 'udp';
  /** `ip:port`, IPv6 in brackets. */
  readonly source: string;
  readonly destination: string;
  readonly ttl: number;
  readonly ipId: number;
  /** 0 for UDP, as are `acknowledgment` and `flags`. */
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly payloadBytes: number;
  readonly wireBytes: number;
  readonly isClipped: boolean;
}

/**
 * One direction of one conversation on one interface: the atom of everything else. Halves are joined
 * to conversations only afterwards, because under REDIRECT the two directions of one connection
 * carry different addresses on loopback.
 */
export interface HalfFlow {
  readonly interfaceIndex: number;
  readonly direction: 'in' | 'out' | 'loop';
  readonly protocol: 'tcp' | 'udp';
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
  readonly frames: number[];
  /** Sequence number of each frame of `frames`, and its time: to find one segment elsewhere. */
  readonly sequences: number[];
  readonly times: number[];
}

/**
 * Collects the half-flows of one interface. A reused source port makes a new half: a SYN with
 * another sequence number starts one, and so does a RST that answers that new SYN.
 */
export class HalfFlowTable {
  readonly #interfaceIndex: number;
  readonly #current = new Map<string, HalfFlow>();
  readonly #all: HalfFlow[] = [];

  constructor(interfaceIndex: number) {
    this.#interfaceIndex = interfaceIndex;
  }

  /** Every half so far, in order of the first frame. */
  get halves(): readonly HalfFlow[] {
    return this.#all;
  }

  add(frame: FrameFields): void {
    const key = keyOf(frame.direction, frame.protocol, frame.source, frame.destination);
    let half = this.#current.get(key);
    if (half === undefined || this.#isNewIncarnation(half, frame)) {
      half = newHalf(this.#interfaceIndex, frame);
      this.#current.set(key, half);
      this.#all.push(half);
    }
    half.lastNs = frame.timeNs;
    half.bytes += frame.wireBytes;
    half.payloadBytes += frame.payloadBytes;
    if (frame.isClipped) half.clippedFrames++;
    if ((frame.flags & TCP_FIN) !== 0) half.hasFin = true;
    if ((frame.flags & TCP_RST) !== 0) half.hasRst = true;
    if (frame.mark !== 0) half.marks.add(frame.mark);
    half.frames.push(frame.number);
    half.sequences.push(frame.sequence);
    half.times.push(frame.timeNs);
  }

  #isNewIncarnation(half: HalfFlow, frame: FrameFields): boolean {
    if (frame.protocol === 'udp') return false;
    if ((frame.flags & TCP_SYN) !== 0) return half.syn !== frame.sequence;
    if ((frame.flags & TCP_RST) === 0 || (frame.flags & TCP_ACK) === 0) return false;
    const opposite = this.#current.get(
      keyOf(turned(frame.direction), frame.protocol, frame.destination, frame.source),
    );
    if (opposite?.syn === undefined || !opposite.opens) return false;
    const answersNewSyn = (opposite.syn + 1) >>> 0 === frame.acknowledgment;
    return answersNewSyn && half.firstNs < opposite.firstNs;
  }
}

function newHalf(interfaceIndex: number, frame: FrameFields): HalfFlow {
  const isSyn = (frame.flags & TCP_SYN) !== 0;
  return {
    interfaceIndex,
    direction: frame.direction,
    protocol: frame.protocol,
    source: frame.source,
    destination: frame.destination,
    ...(isSyn ? { syn: frame.sequence } : {}),
    opens: isSyn && (frame.flags & TCP_ACK) === 0,
    firstSequence: frame.sequence,
    firstAcknowledgment: frame.acknowledgment,
    firstIpId: frame.ipId,
    firstPayloadBytes: frame.payloadBytes,
    firstTtl: frame.ttl,
    firstNs: frame.timeNs,
    lastNs: frame.timeNs,
    bytes: 0,
    payloadBytes: 0,
    clippedFrames: 0,
    hasFin: false,
    hasRst: false,
    refuses: !isSyn && (frame.flags & TCP_RST) !== 0,
    marks: new Set(),
    frames: [],
    sequences: [],
    times: [],
  };
}

function keyOf(direction: string, protocol: string, source: string, destination: string): string {
  return `${direction} ${protocol} ${source} ${destination}`;
}

/** The other way through the same interface; loopback has only one. */
export function turned(direction: 'in' | 'out' | 'loop'): 'in' | 'out' | 'loop' {
  return direction === 'loop' ? 'loop' : direction === 'in' ? 'out' : 'in';
}
