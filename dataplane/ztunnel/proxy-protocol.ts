import { type Endpoint, ipBytes, isIpv6 } from './address.ts';

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const VERSION_2_PROXY = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;

/** TLV that carries the client's SPIFFE id as text (ztunnel `src/proxy/inbound.rs`). */
const TLV_AUTHORITY = 0xd0;

/**
 * A PROXY protocol version 2 header (haproxy `doc/proxy-protocol.txt` §2.2). Addresses of different
 * families are both written as IPv6.
 */
export function encodeProxyProtocol(
  source: Endpoint,
  destination: Endpoint,
  identity: string | undefined,
): Buffer {
  const isV6 = isIpv6(source.ip) || isIpv6(destination.ip);
  const addresses = Buffer.concat([
    addressBytes(source.ip, isV6),
    addressBytes(destination.ip, isV6),
    portBytes(source.port),
    portBytes(destination.port),
  ]);
  const tlv = identity === undefined ? Buffer.alloc(0) : encodeTlv(TLV_AUTHORITY, identity);
  const length = portBytes(addresses.length + tlv.length);
  const head = Buffer.from([VERSION_2_PROXY, isV6 ? TCP_OVER_IPV6 : TCP_OVER_IPV4]);
  return Buffer.concat([SIGNATURE, head, length, addresses, tlv]);
}

function addressBytes(ip: string, isV6: boolean): Uint8Array {
  const bytes = ipBytes(ip) ?? new Uint8Array(isV6 ? 16 : 4);
  if (!isV6 || bytes.length === 16) return bytes;
  return Buffer.concat([Buffer.alloc(10), Buffer.from([0xff, 0xff]), bytes]);
}

function portBytes(port: number): Buffer {
  return Buffer.from([port >> 8, port & 0xff]);
}

function encodeTlv(type: number, text: string): Buffer {
  const value = Buffer.from(text);
  return Buffer.concat([Buffer.from([type]), portBytes(value.length), value]);
}
