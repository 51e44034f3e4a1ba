import { WireError } from './errors.ts';

export const ETHER_TYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;

export const ETHERNET_HEADER_BYTES = 14;

const MAX_TAGS = 4;

export interface EthernetHeader {
  /** Type after all VLAN tags. */
  etherType: number;
  payloadOffset: number;
}

/**
 * Reads the Ethernet II header at `offset`, stepping over VLAN tags (IEEE 802.1Q, 802.1ad).
 * @throws WireError where `end` comes first
 */
export function readEthernet(
  from: Uint8Array,
  offset: number,
  end: number,
  into: EthernetHeader,
): EthernetHeader {
  let at = offset + 12;
  if (at + 2 > end) throw tooShort(offset, end);
  let etherType = (from[at]! << 8) | from[at + 1]!;
  for (let tags = 0; isVlanTag(etherType) && tags < MAX_TAGS; tags++) {
    at += 4;
    if (at + 2 > end) throw tooShort(offset, end);
    etherType = (from[at]! << 8) | from[at + 1]!;
  }
  into.etherType = etherType;
  into.payloadOffset = at + 2;
  return into;
}

/** VLAN identifiers of the frame at `offset`, outermost first. */
export function vlanIds(from: Uint8Array, offset: number, end: number): number[] {
  const ids: number[] = [];
  for (let at = offset + 12; at + 4 <= end && ids.length < MAX_TAGS; at += 4) {
    if (!isVlanTag((from[at]! << 8) | from[at + 1]!)) break;
    ids.push(((from[at + 2]! & 0x0f) << 8) | from[at + 3]!);
  }
  return ids;
}

/** `02:42:ac:12:00:02` of the 6 bytes at `offset`. */
export function formatMac(from: Buffer, offset: number): string {
  return from.toString('hex', offset, offset + 6).replace(/..(?=.)/g, '$&:');
}

function isVlanTag(etherType: number): boolean {
  return etherType === 0x8100 || etherType === 0x88a8 || etherType === 0x9100;
}

function tooShort(offset: number, end: number): WireError {
  return new WireError('ethernet', `Cannot read Ethernet header: ${end - offset} bytes`, offset);
}
