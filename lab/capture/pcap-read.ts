import {
  MAX_PCAP_PACKET_BYTES,
  PCAP_HEADER_BYTES,
  PCAP_PACKET_HEADER_BYTES,
  type PcapFormat,
  pcapFormat,
  type PcapFrame,
} from './pcap.ts';

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

/** Whether a file begins as classic pcap, of either byte order and unit of time. */
export function isPcap(file: Buffer): boolean {
  return formatOf(file) !== undefined;
}

/**
 * Frames of a whole classic pcap file (draft-ietf-opsawg-pcap), with microseconds or nanoseconds.
 * They point into the file.
 * @throws PcapFileError
 */
export function readPcap(file: Buffer): readonly PcapFrame[] {
  const format = formatOf(file);
  if (format === undefined)
    throw new PcapFileError('Cannot read pcap: it does not begin as one', 0);
  if (file.length < PCAP_HEADER_BYTES) {
    throw new PcapFileError('Cannot read pcap: it ends before its header does', file.length);
  }
  const { isLittle, unitNs } = format;
  const read = (at: number): number => (isLittle ? file.readUInt32LE(at) : file.readUInt32BE(at));
  // The upper bits tell how long the frame check sequence is, where there is one.
  const linkType = read(20) & 0xffff;
  const frames: PcapFrame[] = [];
  for (let at = PCAP_HEADER_BYTES; at < file.length;) {
    const left = file.length - at;
    const captured = left < PCAP_PACKET_HEADER_BYTES ? 0 : read(at + 8);
    if (captured > MAX_PCAP_PACKET_BYTES) {
      throw new PcapFileError(`Cannot read pcap: a packet of ${captured} bytes`, at);
    }
    const end = at + PCAP_PACKET_HEADER_BYTES + captured;
    if (left < PCAP_PACKET_HEADER_BYTES || end > file.length) {
      throw new PcapFileError(`Cannot read pcap: it ends ${left} bytes into a packet`, at);
    }
    const data = file.subarray(at + PCAP_PACKET_HEADER_BYTES, end);
    const timeNs = BigInt(read(at)) * 1_000_000_000n + BigInt(read(at + 4)) * unitNs;
    frames.push({ linkType, timeNs, data, originalBytes: Math.max(read(at + 12), captured) });
    at = end;
  }
  return frames;
}

function formatOf(file: Buffer): PcapFormat | undefined {
  return file.length < 4 ? undefined : pcapFormat(file.readUInt32BE(0));
}
