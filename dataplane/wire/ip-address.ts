import { isIP, isIPv4 } from 'node:net';
import { WireError } from './errors.ts';

/** Dotted text of the 4 bytes at `offset`. */
export function formatIpv4(from: Uint8Array, offset: number): string {
  return `${from[offset]}.${from[offset + 1]}.${from[offset + 2]}.${from[offset + 3]}`;
}

/** Canonical text (RFC 5952) of the 16 bytes at `offset`; IPv4-mapped ones end in dotted text. */
export function formatIpv6(from: Uint8Array, offset: number): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((from[offset + i]! << 8) | from[offset + i + 1]!);
  const run = longestZeroRun(groups);
  if (run.start === 0 && run.length === 5 && groups[5] === 0xffff) {
    return `::ffff:${formatIpv4(from, offset + 12)}`;
  }
  const text = (part: readonly number[]): string =>
    part.map((group) => group.toString(16)).join(':');
  if (run.length < 2) return text(groups);
  return `${text(groups.slice(0, run.start))}::${text(groups.slice(run.start + run.length))}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}

/**
 * The 4 bytes of dotted text.
 * @throws WireError
 */
export function parseIpv4(text: string): Buffer {
  if (!isIPv4(text)) throw new WireError('ipv4', `Cannot read IPv4 address "${text}"`, 0);
  return Buffer.from(text.split('.').map(Number));
}

/**
 * The 16 bytes of an IPv6 address without zone.
 * @throws WireError
 */
export function parseIpv6(text: string): Buffer {
  if (isIP(text) !== 6 || text.includes('%')) {
    throw new WireError('ipv6', `Cannot read IPv6 address "${text}"`, 0);
  }
  const [head = '', tail] = text.split('::');
  const front = ipv6Groups(head);
  const back = tail === undefined ? [] : ipv6Groups(tail);
  const bytes = Buffer.alloc(16);
  front.forEach((group, i) => bytes.writeUInt16BE(group, 2 * i));
  back.forEach((group, i) => bytes.writeUInt16BE(group, 16 - 2 * back.length + 2 * i));
  return bytes;
}

function ipv6Groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const bytes = parseIpv4(group);
    return [bytes.readUInt16BE(0), bytes.readUInt16BE(2)];
  });
}
