import { encodePacket, encodePcapngHead } from '../../../lab/capture/pcapng-write.ts';

/** Flags of TCP segments. */
export const SYN = 2;
export const SYN_ACK = 0x12;
export const ACK = 0x10;
export const FIN_ACK = 0x11;
export const RST_ACK = 0x14;

/** One TCP segment; data as octets. */
export interface Segment {
  readonly from: string;
  readonly to: string;
  readonly flags: number;
  readonly sequence: number;
  readonly acknowledgement?: number;
  readonly data?: string;
  /** Bytes captured of the frame, if not all. */
  readonly snap?: number;
  readonly mark?: number;
  readonly ttl?: number;
}

/** An Ethernet frame with one TCP segment over IPv4; checksums stay 0, nobody checks them. */
export function frameOf(segment: Segment): Buffer {
  const data = Buffer.from(segment.data ?? '', 'latin1');
  const frame = Buffer.alloc(54 + data.length);
  frame.writeUInt16BE(0x0800, 12);
  frame[14] = 0x45;
  frame.writeUInt16BE(40 + data.length, 16);
  frame[22] = segment.ttl ?? 64;
  frame[23] = 6;
  for (const [end, addressAt, portAt] of [
    [segment.from, 26, 34],
    [segment.to, 30, 36],
  ] as const) {
    const [address = '', port = ''] = end.split(':');
    frame.set(address.split('.').map(Number), addressAt);
    frame.writeUInt16BE(Number(port), portAt);
  }
  frame.writeUInt32BE(segment.sequence >>> 0, 38);
  frame.writeUInt32BE((segment.acknowledgement ?? 0) >>> 0, 42);
  frame[46] = 0x50;
  frame[47] = segment.flags;
  data.copy(frame, 54);
  return frame;
}

/** A capture of one interface, a frame each microsecond. */
export function captureOf(
  segments: readonly Segment[],
  name = 'node1/eth0',
  startNs = 1_000n,
  keyLog = '',
): Buffer {
  return Buffer.concat([
    encodePcapngHead({ interfaces: [{ name }], keyLog }),
    ...segments.map((segment, i) => {
      const whole = frameOf(segment);
      return encodePacket({
        interfaceId: 0,
        timeNs: startNs + 1000n * BigInt(i),
        data: whole.subarray(0, segment.snap ?? whole.length),
        originalBytes: whole.length,
        mark: segment.mark,
      });
    }),
  ]);
}

/** Ends of the connection that these tests make up. */
export const A = '10.0.0.1:40000';
export const B = '10.0.0.2:80';
/** A segment of the client. */
export const up = (sequence: number, data: string, more: Partial<Segment> = {}): Segment => {
  return { from: A, to: B, flags: ACK, sequence, acknowledgement: 501, data, ...more };
};
/** A segment of the server. */
export const down = (sequence: number, data: string, more: Partial<Segment> = {}): Segment => {
  return { from: B, to: A, flags: ACK, sequence, acknowledgement: 101, data, ...more };
};
/** Three frames; the streams begin at 101 and 501. */
export const HANDSHAKE: readonly Segment[] = [
  up(100, '', { flags: SYN, acknowledgement: 0 }),
  down(500, '', { flags: SYN_ACK }),
  up(101, ''),
];
