import { WireError } from './errors.ts';

/** RFC 792 and RFC 4443. */
export const ICMP_TYPE = {
  echoReply: 0,
  unreachable: 3,
  echoRequest: 8,
  timeExceeded: 11,
} as const;
export const ICMPV6_TYPE = {
  unreachable: 1,
  packetTooBig: 2,
  timeExceeded: 3,
  echoRequest: 128,
  echoReply: 129,
  neighborSolicitation: 135,
  neighborAdvertisement: 136,
} as const;

export interface IcmpHeader {
  readonly type: number;
  readonly code: number;
  /** Of echo messages; other types use the four bytes for something else. */
  readonly identifier: number;
  readonly sequence: number;
}

/**
 * Reads the header that ICMP and ICMPv6 share.
 * @throws WireError
 */
export function decodeIcmp(from: Buffer, offset: number, end: number): IcmpHeader {
  if (offset + 8 > end) {
    throw new WireError('icmp', `Cannot read ICMP header: ${end - offset} bytes`, offset);
  }
  return {
    type: from[offset]!,
    code: from[offset + 1]!,
    identifier: from.readUInt16BE(offset + 4),
    sequence: from.readUInt16BE(offset + 6),
  };
}
