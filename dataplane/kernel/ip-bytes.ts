import { isIPv4, isIPv6 } from 'node:net';

/** An address or prefix as netlink carries it. `bytes` are 4 or 16. */
export interface IpBytes {
  readonly bytes: Buffer;
  readonly prefixLength: number;
}

/**
 * Bytes of an IP address.
 *
 * @throws {RangeError} when the text is none
 */
export function ipToBytes(text: string): Buffer {
  if (isIPv4(text)) return Buffer.from(text.split('.').map(Number));
  if (!isIPv6(text) || text.includes('%')) {
    throw new RangeError(`Cannot read "${text}": no IP address, wished an IPv4 or IPv6 address`);
  }
  const [head = '', tail] = text.split('::');
  const front = ipv6Groups(head);
  const back = tail === undefined ? Buffer.alloc(0) : ipv6Groups(tail);
  return Buffer.concat([front, Buffer.alloc(16 - front.length - back.length), back]);
}

/**
 * Bytes and length of `10.244.1.0/24`, or of an address alone as a prefix of full length.
 *
 * @throws {RangeError} when the text is neither
 */
export function prefixToBytes(text: string): IpBytes {
  const [address = '', length] = text.split('/');
  const bytes = ipToBytes(address);
  const prefixLength = length === undefined ? bytes.length * 8 : Number(length);
  if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > bytes.length * 8) {
    throw new RangeError(`Cannot read "${text}": no prefix, wished 0 to ${bytes.length * 8} bits`);
  }
  return { bytes, prefixLength };
}

/** Canonical text (RFC 5952) of 4 or 16 bytes; v4-mapped addresses stay IPv6. */
export function bytesToIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  const { start, length } = longestZeroRun(groups);
  const show = (part: readonly number[]) => part.map((group) => group.toString(16)).join(':');
  if (length < 2) return show(groups);
  return `${show(groups.slice(0, start))}::${show(groups.slice(start + length))}`;
}

function ipv6Groups(part: string): Buffer {
  if (part === '') return Buffer.alloc(0);
  return Buffer.concat(
    part.split(':').map((group) => {
      if (group.includes('.')) return Buffer.from(group.split('.').map(Number));
      const value = Number.parseInt(group, 16);
      return Buffer.from([value >> 8, value & 0xff]);
    }),
  );
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, i) => {
    if (group !== 0) start = i + 1;
    else if (i + 1 - start > best.length) best = { start, length: i + 1 - start };
  });
  return best;
}
