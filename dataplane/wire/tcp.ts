import { WireError } from './errors.ts';

/** Bits of the flags byte (RFC 9293 section 3.1). */
export const TCP_FLAG = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 0x10, urg: 0x20 } as const;

export interface TcpHeader {
  sourcePort: number;
  destinationPort: number;
  sequence: number;
  acknowledgement: number;
  flags: number;
  window: number;
  payloadOffset: number;
}

export function emptyTcpHeader(): TcpHeader {
  return {
    sourcePort: 0,
    destinationPort: 0,
    sequence: 0,
    acknowledgement: 0,
    flags: 0,
    window: 0,
    payloadOffset: 0,
  };
}

/**
 * Reads a TCP header into `into`, which the caller reuses.
 * @throws WireError where `end` comes before the header's
 */
export function readTcp(from: Uint8Array, offset: number, end: number, into: TcpHeader): TcpHeader {
  if (offset + 20 > end) throw fault(`${end - offset} bytes`, offset);
  const headerBytes = (from[offset + 12]! >> 4) * 4;
  if (headerBytes < 20) throw fault(`header length ${headerBytes}`, offset);
  if (offset + headerBytes > end) throw fault('options cut off', offset);
  into.sourcePort = (from[offset]! << 8) | from[offset + 1]!;
  into.destinationPort = (from[offset + 2]! << 8) | from[offset + 3]!;
  into.sequence = uint32(from, offset + 4);
  into.acknowledgement = uint32(from, offset + 8);
  into.flags = from[offset + 13]!;
  into.window = (from[offset + 14]! << 8) | from[offset + 15]!;
  into.payloadOffset = offset + headerBytes;
  return into;
}

export interface TcpOptions {
  readonly maxSegmentBytes?: number;
  readonly windowScale?: number;
  readonly isSackPermitted: boolean;
  readonly timestamps?: { readonly value: number; readonly echo: number };
}

/** Options of the header at `offset` (RFC 9293 3.2, RFC 7323, RFC 2018); unknown ones are skipped. */
export function tcpOptions(from: Uint8Array, offset: number, payloadOffset: number): TcpOptions {
  let options: TcpOptions = { isSackPermitted: false };
  for (let at = offset + 20; at < payloadOffset;) {
    const kind = from[at]!;
    if (kind === 0) break;
    if (kind === 1) {
      at++;
      continue;
    }
    const length = at + 1 < payloadOffset ? from[at + 1]! : 0;
    if (length < 2 || at + length > payloadOffset) throw fault(`option of ${length} bytes`, at);
    if (kind === 2 && length === 4) {
      options = { ...options, maxSegmentBytes: (from[at + 2]! << 8) | from[at + 3]! };
    } else if (kind === 3 && length === 3) options = { ...options, windowScale: from[at + 2]! };
    else if (kind === 4) options = { ...options, isSackPermitted: true };
    else if (kind === 8 && length === 10) {
      const timestamps = { value: uint32(from, at + 2), echo: uint32(from, at + 6) };
      options = { ...options, timestamps };
    }
    at += length;
  }
  return options;
}

function uint32(from: Uint8Array, at: number): number {
  return ((from[at]! << 24) | (from[at + 1]! << 16) | (from[at + 2]! << 8) | from[at + 3]!) >>> 0;
}

function fault(seen: string, offset: number): WireError {
  return new WireError('tcp', `Cannot read TCP header: ${seen}`, offset);
}
