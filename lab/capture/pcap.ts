/** One frame of a classic pcap (draft-ietf-opsawg-pcap), as `encodePacket` takes it. */
export interface PcapFrame {
  readonly linkType: number;
  readonly timeNs: bigint;
  readonly data: Buffer;
  readonly originalBytes: number;
}

export const PCAP_HEADER_BYTES = 24;
export const PCAP_PACKET_HEADER_BYTES = 16;
/** Longest snap length that libpcap allows for Ethernet (MAXIMUM_SNAPLEN). */
export const MAX_PCAP_PACKET_BYTES = 262_144;

export interface PcapFormat {
  readonly isLittle: boolean;
  /** What a unit of the second half of a time is. */
  readonly unitNs: bigint;
}

const FORMATS: Readonly<Record<number, PcapFormat>> = {
  0xa1b2c3d4: { isLittle: false, unitNs: 1000n },
  0xd4c3b2a1: { isLittle: true, unitNs: 1000n },
  0xa1b23c4d: { isLittle: false, unitNs: 1n },
  0x4d3cb2a1: { isLittle: true, unitNs: 1n },
};

/** The format that the first four bytes of a file tell, as a big-endian number; none for others. */
export function pcapFormat(magic: number): PcapFormat | undefined {
  return FORMATS[magic];
}
