import { WireError } from './errors.ts';
import { formatMac } from './ethernet.ts';
import { formatIpv4 } from './ip-address.ts';

export const ARP_OPERATION = { request: 1, reply: 2 } as const;

export interface ArpPacket {
  readonly operation: number;
  readonly senderMac: string;
  readonly sender: string;
  readonly targetMac: string;
  readonly target: string;
}

/**
 * Reads ARP for IPv4 over Ethernet (RFC 826).
 * @throws WireError where it is too short or for other addresses
 */
export function decodeArp(from: Buffer, offset: number, end: number): ArpPacket {
  const isWhole = offset + 28 <= end;
  if (
    !isWhole ||
    from.readUInt32BE(offset) !== 0x00010800 ||
    from.readUInt16BE(offset + 4) !== 0x0604
  ) {
    throw new WireError('arp', `Cannot read ARP packet of ${end - offset} bytes`, offset);
  }
  return {
    operation: from.readUInt16BE(offset + 6),
    senderMac: formatMac(from, offset + 8),
    sender: formatIpv4(from, offset + 14),
    targetMac: formatMac(from, offset + 18),
    target: formatIpv4(from, offset + 24),
  };
}
