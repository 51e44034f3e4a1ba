import { shortOf } from './dns-name.ts';

const OPT = 41;

/** EDNS of RFC 6891, taken out of the additional section. */
export interface DnsEdns {
  readonly udpPayloadBytes: number;
  readonly version: number;
  readonly isDnssecOk: boolean;
  readonly options: readonly { readonly code: number; readonly data: Buffer }[];
}

/**
 * Takes apart an OPT record: its class, its TTL and its data.
 * @throws WireError where an option is cut off
 */
export function readEdns(dnsClass: number, ttlSeconds: number, data: Buffer): DnsEdns {
  const options: { code: number; data: Buffer }[] = [];
  for (let at = 0; at < data.length;) {
    if (at + 4 > data.length) throw shortOf(4, at);
    const next = at + 4 + data.readUInt16BE(at + 2);
    if (next > data.length) throw shortOf(next - at, at);
    options.push({ code: data.readUInt16BE(at), data: data.subarray(at + 4, next) });
    at = next;
  }
  return {
    udpPayloadBytes: dnsClass,
    version: (ttlSeconds >>> 16) & 0xff,
    isDnssecOk: (ttlSeconds & 0x8000) !== 0,
    options,
  };
}

/** The whole OPT record; it also carries the upper bits of the code. */
export function encodeEdns(edns: DnsEdns, rcode: number): Buffer {
  const options = edns.options.map(({ code, data }) => {
    const option = Buffer.alloc(4 + data.length);
    option.writeUInt16BE(code, 0);
    option.writeUInt16BE(data.length, 2);
    data.copy(option, 4);
    return option;
  });
  const data = Buffer.concat(options);
  const record = Buffer.alloc(11);
  record.writeUInt16BE(OPT, 1);
  record.writeUInt16BE(edns.udpPayloadBytes, 3);
  record[5] = rcode >> 4;
  record[6] = edns.version;
  record.writeUInt16BE(edns.isDnssecOk ? 0x8000 : 0, 7);
  record.writeUInt16BE(data.length, 9);
  return Buffer.concat([record, data]);
}
