import { WireError } from './errors.ts';

/** UDP ports: IANA's for VXLAN, Linux's old default, and Geneve (RFC 8926 section 3.3). */
export const VXLAN_PORT = 4789;
export const LINUX_VXLAN_PORT = 8472;
export const GENEVE_PORT = 6081;

/** Ethernet inside Geneve (RFC 8926 section 3.4). */
export const TRANS_ETHER_BRIDGING = 0x6558;

export interface OverlayHeader {
  vni: number;
  /** EtherType of what is inside; VXLAN always carries Ethernet. */
  protocol: number;
  optionBytes: number;
  payloadOffset: number;
}

export function emptyOverlayHeader(): OverlayHeader {
  return { vni: 0, protocol: 0, optionBytes: 0, payloadOffset: 0 };
}

/**
 * Reads a VXLAN header (RFC 7348 section 5).
 * @throws WireError where it is short or its I flag is not set
 */
export function readVxlan(
  from: Uint8Array,
  offset: number,
  end: number,
  into: OverlayHeader,
): OverlayHeader {
  if (offset + 8 > end || (from[offset]! & 0x08) === 0) {
    throw new WireError('vxlan', `Cannot read VXLAN header of ${end - offset} bytes`, offset);
  }
  into.vni = vni(from, offset + 4);
  into.protocol = TRANS_ETHER_BRIDGING;
  into.optionBytes = 0;
  into.payloadOffset = offset + 8;
  return into;
}

/**
 * Reads a Geneve header and steps over its options (RFC 8926 section 3.4).
 * @throws WireError where it is short or of another version
 */
export function readGeneve(
  from: Uint8Array,
  offset: number,
  end: number,
  into: OverlayHeader,
): OverlayHeader {
  if (offset + 8 > end || from[offset]! >> 6 !== 0) {
    throw new WireError('geneve', `Cannot read Geneve header of ${end - offset} bytes`, offset);
  }
  const optionBytes = (from[offset]! & 0x3f) * 4;
  if (offset + 8 + optionBytes > end) {
    throw new WireError('geneve', `Cannot read Geneve header: ${optionBytes} option bytes`, offset);
  }
  into.vni = vni(from, offset + 4);
  into.protocol = (from[offset + 2]! << 8) | from[offset + 3]!;
  into.optionBytes = optionBytes;
  into.payloadOffset = offset + 8 + optionBytes;
  return into;
}

export interface GeneveOption {
  readonly class: number;
  /** With the critical bit. */
  readonly type: number;
  readonly data: Buffer;
}

/**
 * Options of the Geneve header at `offset`, which {@link readGeneve} has accepted.
 * @throws WireError where one exceeds the header
 */
export function geneveOptions(from: Buffer, offset: number): GeneveOption[] {
  const end = offset + 8 + (from[offset]! & 0x3f) * 4;
  const options: GeneveOption[] = [];
  for (let at = offset + 8; at < end;) {
    const next = at + 4 + (from[at + 3]! & 0x1f) * 4;
    if (next > end) throw new WireError('geneve', 'Cannot read Geneve option: it is cut off', at);
    options.push({
      class: from.readUInt16BE(at),
      type: from[at + 2]!,
      data: from.subarray(at + 4, next),
    });
    at = next;
  }
  return options;
}

function vni(from: Uint8Array, at: number): number {
  return (from[at]! << 16) | (from[at + 1]! << 8) | from[at + 2]!;
}
