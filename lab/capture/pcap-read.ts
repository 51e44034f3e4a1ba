import type { PcapFrame } from './tcpdump.ts';

/** A classic pcap file that is none, or ends inside a packet. */
export class PcapFileError extends Error {
  override readonly name = 'PcapFileError';
  readonly code = 'LAB_PCAP_FILE';
  /** Byte offset of what is at fault. */
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

const FILE_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
/** Longest snap length that libpcap allows for Ethernet (MAXIMUM_SNAPLEN). */
const MAX_PACKET_BYTES = 262_144;

/** First four bytes as a big-endian number: order of bytes, and what a unit of time is. */
const FORMATS: Readonly<Record<number, { readonly isLittle: boolean; readonly unitNs: bigint }>> = {
  0xa1b2c3d4: { isLittle: false, unitNs: 1000n },
  0xd4c3b2a1: { isLittle: true, unitNs: 1000n },
  0xa1b23c4d: { isLittle: false, unitNs: 1n },
  0x4d3cb2a1: { isLittle: true, unitNs: 1n },
};

/** Whether a file begins as classic pcap, of either byte order and unit of time. */
export function isPcap(file: Buffer): boolean {
  return file.length >= 4 && FORMATS[file.readUInt32BE(0)] !== undefined;
}

/**
 * Frames of a whole classic pcap file (draft-ietf-opsawg-pcap), with microseconds or nanoseconds.
 * They point into the file.
 * @throws PcapFileError
 */
export function readPcap(file: Buffer): readonly PcapFrame[] {
  const format = isPcap(file) ? FORMATS[file.readUInt32BE(0)] : undefined;
  if (format === undefined)
    throw new PcapFileError('Cannot read pcap: it does not begin as one', 0);
  if (file.length < FILE_HEADER_BYTES) {
    throw new PcapFileError('Cannot read pcap: it ends before its header does', file.length);
  }
  const { isLittle, unitNs } = format;
  const read = (at: number): number => (isLittle ? file.readUInt32LE(at) : file.readUInt32BE(at));
  // The upper bits tell how long the frame check sequence is, where there is one.
  const linkType = read(20) & 0xffff;
  const frames: PcapFrame[] = [];
  for (let at = FILE_HEADER_BYTES; at < file.length;) {
    const left = file.length - at;
    const captured = left < PACKET_HEADER_BYTES ? 0 : read(at + 8);
    if (captured > MAX_PACKET_BYTES) {
      throw new PcapFileError(`Cannot read pcap: a packet of ${captured} bytes`, at);
    }
    const end = at + PACKET_HEADER_BYTES + captured;
    if (left < PACKET_HEADER_BYTES || end > file.length) {
      throw new PcapFileError(`Cannot read pcap: it ends ${left} bytes into a packet`, at);
    }
    const data = file.subarray(at + PACKET_HEADER_BYTES, end);
    const timeNs = BigInt(read(at)) * 1_000_000_000n + BigInt(read(at + 4)) * unitNs;
    frames.push({ linkType, timeNs, data, originalBytes: Math.max(read(at + 12), captured) });
    at = end;
  }
  return frames;
}
