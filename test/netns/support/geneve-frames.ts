// Frames with an ICMP echo request in a Geneve tunnel, as another maker's end might send them.

export interface GeneveEnds {
  readonly outer: { readonly from: string; readonly to: string; readonly toMac: string };
  readonly inner: { readonly from: string; readonly to: string; readonly toMac: string };
}

export interface FrameOptions {
  /** Of the ICMP request: tells replies apart. */
  readonly id: number;
  readonly vni?: number;
  /** The 8 bytes before the inner frame, and options, instead of a plain Geneve header. */
  readonly header?: string;
  /** Options of the outer IPv4 header, in hex. */
  readonly ipOptions?: string;
  /** `good` and `bad`: a UDP checksum; none otherwise. */
  readonly checksum?: 'good' | 'bad';
  readonly from?: string;
}

/** MAC of the end that sends. */
export const SENDER_MAC = '020000000077';

/** One frame, as hex. */
export function geneveFrame(ends: GeneveEnds, options: FrameOptions): string {
  return ethernet(ends.outer.toMac, outerPacket(ends, options)).toString('hex');
}

/** The same packet as two fragments of IPv4; the tunnel header is in the first. */
export function geneveFragments(ends: GeneveEnds, options: FrameOptions): readonly string[] {
  const packet = outerPacket(ends, options);
  const [header, payload] = [packet.subarray(0, 20), packet.subarray(20)];
  const cut = 48;
  return [
    ipv4Again(header, payload.subarray(0, cut), 0x2000),
    ipv4Again(header, payload.subarray(cut), cut / 8),
  ].map((fragment) => ethernet(ends.outer.toMac, fragment).toString('hex'));
}

function outerPacket({ outer, inner }: GeneveEnds, options: FrameOptions): Buffer {
  const { id, vni = 1000, ipOptions = '', checksum, from = outer.from } = options;
  const plain = `00006558${vni.toString(16).padStart(6, '0')}00`;
  const echo = Buffer.concat([
    Buffer.from([8, 0, 0, 0, id >> 8, id & 255, 0, 1]),
    Buffer.alloc(40),
  ]);
  echo.writeUInt16BE(sum(echo), 2);
  const frame = ethernet(inner.toMac, ipv4(inner.from, inner.to, 1, echo));
  const payload = Buffer.concat([Buffer.from(options.header ?? plain, 'hex'), frame]);
  const udp = Buffer.concat([Buffer.alloc(8), payload]);
  udp.writeUInt16BE(50_000, 0);
  udp.writeUInt16BE(6081, 2);
  udp.writeUInt16BE(udp.length, 4);
  if (checksum !== undefined) {
    const pseudo = Buffer.concat([
      ip(from),
      ip(outer.to),
      Buffer.from([0, 17]),
      udp.subarray(4, 6),
    ]);
    udp.writeUInt16BE(sum(Buffer.concat([pseudo, udp])) ^ (checksum === 'bad' ? 0x101 : 0), 6);
  }
  return ipv4(from, outer.to, 17, udp, Buffer.from(ipOptions, 'hex'));
}

function ethernet(toMac: string, packet: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`${toMac.replaceAll(':', '')}${SENDER_MAC}0800`, 'hex'),
    packet,
  ]);
}

function ipv4(
  from: string,
  to: string,
  protocol: number,
  payload: Buffer,
  options = Buffer.alloc(0),
): Buffer {
  const fixed = Buffer.alloc(20);
  fixed[0] = 0x40 | ((20 + options.length) / 4);
  fixed.writeUInt16BE(7, 4);
  fixed[8] = 64;
  fixed[9] = protocol;
  ip(from).copy(fixed, 12);
  ip(to).copy(fixed, 16);
  return ipv4Again(Buffer.concat([fixed, options]), payload, 0);
}

/** A packet with that header, its length, fragment word and checksum made anew. */
function ipv4Again(header: Buffer, payload: Buffer, fragment: number): Buffer {
  const fresh = Buffer.from(header);
  fresh.writeUInt16BE(fresh.length + payload.length, 2);
  fresh.writeUInt16BE(fragment, 6);
  fresh.writeUInt16BE(0, 10);
  fresh.writeUInt16BE(sum(fresh), 10);
  return Buffer.concat([fresh, payload]);
}

function ip(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

/** The Internet checksum (RFC 1071). */
function sum(bytes: Buffer): number {
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    total += at + 1 < bytes.length ? bytes.readUInt16BE(at) : bytes[at]! << 8;
  }
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
  return total ^ 0xffff;
}
