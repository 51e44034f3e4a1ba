import { WireError } from './errors.ts';

/** IANA protocol numbers. */
export const IP_PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const;

/** What IPv4 and IPv6 headers have in common; one object is reused for many packets. */
export interface IpHeader {
  version: 4 | 6;
  headerOffset: number;
  sourceOffset: number;
  destinationOffset: number;
  addressBytes: 4 | 16;
  ttl: number;
  /** Of the payload, after extension headers. */
  protocol: number;
  payloadOffset: number;
  /** By the length in the header; past what was captured where the frame was snapped. */
  payloadEnd: number;
  isFragment: boolean;
  /** Bytes of the whole packet before this fragment's; the transport header is there at 0 only. */
  fragmentOffset: number;
}

export function emptyIpHeader(): IpHeader {
  return {
    version: 4,
    headerOffset: 0,
    sourceOffset: 0,
    destinationOffset: 0,
    addressBytes: 4,
    ttl: 0,
    protocol: 0,
    payloadOffset: 0,
    payloadEnd: 0,
    isFragment: false,
    fragmentOffset: 0,
  };
}

/**
 * Reads an IPv4 header with its options (RFC 791). A total length of 0, which the kernel shows on
 * packets of more than 64 kB that segmentation offload will cut, stands for `end`.
 * @throws WireError
 */
export function readIpv4(from: Uint8Array, offset: number, end: number, into: IpHeader): IpHeader {
  if (offset + 20 > end) throw fault('ipv4', `${end - offset} bytes`, offset);
  const first = from[offset]!;
  const headerBytes = (first & 15) * 4;
  if (first >> 4 !== 4 || headerBytes < 20) {
    throw fault('ipv4', `version and length 0x${first.toString(16)}`, offset);
  }
  if (offset + headerBytes > end) throw fault('ipv4', 'options cut off', offset);
  const totalBytes = (from[offset + 2]! << 8) | from[offset + 3]!;
  if (totalBytes !== 0 && totalBytes < headerBytes) {
    throw fault('ipv4', `total length ${totalBytes}`, offset);
  }
  const fragment = (from[offset + 6]! << 8) | from[offset + 7]!;
  into.version = 4;
  into.headerOffset = offset;
  into.sourceOffset = offset + 12;
  into.destinationOffset = offset + 16;
  into.addressBytes = 4;
  into.ttl = from[offset + 8]!;
  into.protocol = from[offset + 9]!;
  into.payloadOffset = offset + headerBytes;
  into.payloadEnd = totalBytes === 0 ? end : offset + totalBytes;
  into.isFragment = (fragment & 0x3fff) !== 0;
  into.fragmentOffset = (fragment & 0x1fff) * 8;
  return into;
}

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const AUTHENTICATION = 51;
const DESTINATION_OPTIONS = 60;
const MOBILITY = 135;

/**
 * Reads an IPv6 header and walks its extension headers (RFC 8200 section 4). A payload length of 0
 * stands for `end`, as with IPv4.
 * @throws WireError
 */
export function readIpv6(from: Uint8Array, offset: number, end: number, into: IpHeader): IpHeader {
  if (offset + 40 > end) throw fault('ipv6', `${end - offset} bytes`, offset);
  if (from[offset]! >> 4 !== 6) throw fault('ipv6', `version ${from[offset]! >> 4}`, offset);
  const payloadBytes = (from[offset + 4]! << 8) | from[offset + 5]!;
  into.version = 6;
  into.headerOffset = offset;
  into.sourceOffset = offset + 8;
  into.destinationOffset = offset + 24;
  into.addressBytes = 16;
  into.ttl = from[offset + 7]!;
  into.protocol = from[offset + 6]!;
  into.payloadOffset = offset + 40;
  into.payloadEnd = payloadBytes === 0 ? end : offset + 40 + payloadBytes;
  into.isFragment = false;
  into.fragmentOffset = 0;
  while (isExtension(into.protocol) && into.fragmentOffset === 0) walkExtension(from, end, into);
  return into;
}

function isExtension(protocol: number): boolean {
  return (
    protocol === HOP_BY_HOP ||
    protocol === ROUTING ||
    protocol === FRAGMENT ||
    protocol === AUTHENTICATION ||
    protocol === DESTINATION_OPTIONS ||
    protocol === MOBILITY
  );
}

function walkExtension(from: Uint8Array, end: number, into: IpHeader): void {
  const at = into.payloadOffset;
  if (at + 8 > end || at + 8 > into.payloadEnd) throw fault('ipv6', 'extension cut off', at);
  const { protocol } = into;
  into.protocol = from[at]!;
  if (protocol === FRAGMENT) {
    const fragment = (from[at + 2]! << 8) | from[at + 3]!;
    into.isFragment = (fragment & 0xfff9) !== 0;
    into.fragmentOffset = fragment & 0xfff8;
    into.payloadOffset = at + 8;
    return;
  }
  into.payloadOffset =
    at + (protocol === AUTHENTICATION ? from[at + 1]! * 4 + 8 : from[at + 1]! * 8 + 8);
  if (into.payloadOffset > into.payloadEnd) throw fault('ipv6', 'extension cut off', at);
}

function fault(protocol: 'ipv4' | 'ipv6', seen: string, offset: number): WireError {
  const name = protocol === 'ipv4' ? 'IPv4' : 'IPv6';
  return new WireError(protocol, `Cannot read ${name} header: ${seen}`, offset);
}
