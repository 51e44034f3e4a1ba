import { WireError } from './errors.ts';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from './ip-address.ts';

/** First bytes of a version 2 header (HAProxy, proxy-protocol.txt section 2.2). */
export const PROXY_V2_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

const FIXED_BYTES = 16;

export interface ProxyTlv {
  readonly type: number;
  readonly value: Buffer;
}

export interface ProxyHeader {
  /** `local`: the proxy speaks for itself, addresses are to be ignored. */
  readonly command: 'local' | 'proxy';
  readonly source?: { readonly address: string; readonly port: number };
  readonly destination?: { readonly address: string; readonly port: number };
  readonly tlvs: readonly ProxyTlv[];
  /** Bytes of the whole header. */
  readonly length: number;
}

/** True while `from` may be the start of a version 2 header. */
export function isProxyV2(from: Uint8Array): boolean {
  const bytes = Math.min(from.length, PROXY_V2_SIGNATURE.length);
  return bytes > 0 && PROXY_V2_SIGNATURE.compare(from, 0, bytes, 0, bytes) === 0;
}

/**
 * Reads a PROXY protocol version 2 header at the start of `from`; undefined where more bytes are
 * needed.
 * @throws WireError
 */
export function decodeProxyV2(from: Buffer): ProxyHeader | undefined {
  if (!isProxyV2(from)) throw fault('no version 2 signature', 0);
  if (from.length < FIXED_BYTES) return undefined;
  const command = from[12]!;
  if (command !== 0x20 && command !== 0x21) throw fault(`command 0x${command.toString(16)}`, 12);
  const length = FIXED_BYTES + from.readUInt16BE(14);
  if (from.length < length) return undefined;
  const family = from[13]! >> 4;
  const addressBytes = family === 1 ? 4 : family === 2 ? 16 : 0;
  const tlvsAt = FIXED_BYTES + (addressBytes > 0 ? 2 * addressBytes + 4 : 0);
  if (tlvsAt > length) throw fault('addresses cut off', FIXED_BYTES);
  const format = family === 1 ? formatIpv4 : formatIpv6;
  const endpoint = (i: number) => ({
    address: format(from, FIXED_BYTES + i * addressBytes),
    port: from.readUInt16BE(FIXED_BYTES + 2 * addressBytes + 2 * i),
  });
  return {
    command: command === 0x21 ? 'proxy' : 'local',
    ...(addressBytes > 0 && { source: endpoint(0), destination: endpoint(1) }),
    // Of a UNIX address (family 3) we know neither paths nor where TLVs start.
    tlvs: family === 3 ? [] : readTlvs(from, tlvsAt, length),
    length,
  };
}

function readTlvs(from: Buffer, start: number, end: number): ProxyTlv[] {
  const tlvs: ProxyTlv[] = [];
  for (let at = start; at < end;) {
    if (at + 3 > end) throw fault('TLV cut off', at);
    const next = at + 3 + from.readUInt16BE(at + 1);
    if (next > end) throw fault('TLV cut off', at);
    tlvs.push({ type: from[at]!, value: from.subarray(at + 3, next) });
    at = next;
  }
  return tlvs;
}

/**
 * Writes a `PROXY` header for a TCP connection.
 * @throws WireError where the addresses are not of one family
 */
export function encodeProxyV2(
  source: { readonly address: string; readonly port: number },
  destination: { readonly address: string; readonly port: number },
  tlvs: readonly ProxyTlv[] = [],
): Buffer {
  const isIpv6 = source.address.includes(':');
  const parse = isIpv6 ? parseIpv6 : parseIpv4;
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(source.port, 0);
  ports.writeUInt16BE(destination.port, 2);
  const body = Buffer.concat([
    parse(source.address),
    parse(destination.address),
    ports,
    ...tlvs.flatMap(({ type, value }) => [
      Buffer.from([type, value.length >> 8, value.length]),
      value,
    ]),
  ]);
  const fixed = Buffer.from([0x21, isIpv6 ? 0x21 : 0x11, body.length >> 8, body.length]);
  return Buffer.concat([PROXY_V2_SIGNATURE, fixed, body]);
}

function fault(seen: string, offset: number): WireError {
  return new WireError('proxy-protocol', `Cannot read PROXY header: ${seen}`, offset);
}
