import { WireError } from './errors.ts';

export const UDP_HEADER_BYTES = 8;

export interface UdpHeader {
  sourcePort: number;
  destinationPort: number;
  payloadOffset: number;
  /** By the length in the header. */
  payloadEnd: number;
}

export function emptyUdpHeader(): UdpHeader {
  return { sourcePort: 0, destinationPort: 0, payloadOffset: 0, payloadEnd: 0 };
}

/**
 * Reads a UDP header (RFC 768) into `into`. A length of 0 (jumbograms, offload) stands for `end`.
 * @throws WireError
 */
export function readUdp(from: Uint8Array, offset: number, end: number, into: UdpHeader): UdpHeader {
  if (offset + UDP_HEADER_BYTES > end) throw fault(`${end - offset} bytes`, offset);
  const length = (from[offset + 4]! << 8) | from[offset + 5]!;
  if (length !== 0 && length < UDP_HEADER_BYTES) throw fault(`length ${length}`, offset);
  into.sourcePort = (from[offset]! << 8) | from[offset + 1]!;
  into.destinationPort = (from[offset + 2]! << 8) | from[offset + 3]!;
  into.payloadOffset = offset + UDP_HEADER_BYTES;
  into.payloadEnd = length === 0 ? end : offset + length;
  return into;
}

function fault(seen: string, offset: number): WireError {
  return new WireError('udp', `Cannot read UDP header: ${seen}`, offset);
}
