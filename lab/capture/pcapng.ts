/** Block types of pcapng (draft-ietf-opsawg-pcapng section 4). */
export const BLOCK = {
  section: 0x0a0d0d0a,
  interface: 1,
  simplePacket: 3,
  names: 4,
  statistics: 5,
  enhancedPacket: 6,
  secrets: 10,
} as const;

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** Secrets type of an NSS key log ("TLSK"). */
export const TLS_KEY_LOG = 0x544c534b;

export const OPTION = {
  end: 0,
  comment: 1,
  sectionApplication: 4,
  interfaceName: 2,
  interfaceDescription: 3,
  interfaceMac: 6,
  interfaceResolution: 9,
  interfaceTimeOffset: 14,
  packetFlags: 2,
  packetDropCount: 4,
  statisticsReceived: 4,
  statisticsDropped: 5,
} as const;

/** `LINKTYPE_` values that the dissector reads. */
export const LINK_TYPE = { ethernet: 1, raw: 101, linuxCooked: 113, linuxCooked2: 276 } as const;

/** Direction bits of `epb_flags`. */
export const PACKET_DIRECTION = { unknown: 0, in: 1, out: 2 } as const;

/**
 * How a frame's socket mark stands in a capture: an `opt_comment` of exactly `mark 0x` and lower
 * case hexadecimal digits without leading zeros, so that Wireshark shows it as a packet comment.
 */
export const MARK_COMMENT = 'mark 0x';

export interface PcapngInterface {
  /** Number within its section, as packets name it. */
  readonly id: number;
  readonly linkType: number;
  readonly snapLength: number;
  readonly name: string;
  readonly description: string;
  readonly mac?: string;
  /** Ticks per second of time stamps. */
  readonly ticksPerSecond: number;
  /** Seconds to add to every time stamp. */
  readonly offsetSeconds: bigint;
}

export type PcapngFault =
  | 'not-pcapng'
  | 'truncated'
  | 'block-length'
  | 'block-too-long'
  | 'byte-order'
  | 'version'
  | 'interface'
  | 'packet'
  | 'option'
  | 'secrets'
  | 'names';

/** Bytes that are no pcapng. */
export class PcapngError extends Error {
  override readonly name = 'PcapngError';
  readonly code = 'LAB_PCAPNG_MALFORMED';
  readonly fault: PcapngFault;
  /** Byte offset in the file, of the block at fault. */
  readonly offset: number;

  constructor(fault: PcapngFault, message: string, offset: number) {
    super(message);
    this.fault = fault;
    this.offset = offset;
  }
}
