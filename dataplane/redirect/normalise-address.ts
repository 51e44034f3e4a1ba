import { isIP, SocketAddress } from 'node:net';
import type { Family } from './rule.ts';

/**
 * An address or network as iptables-save prints it: host bits cleared, prefix length always there.
 * What is no address (a name, a list) is given back as it is.
 */
export function normaliseAddress(text: string, family: Family): string {
  const [address = '', prefix] = text.split('/', 2);
  if (isIP(address) !== (family === 'ipv4' ? 4 : 6)) return text;
  const width = family === 'ipv4' ? 32 : 128;
  const length = prefix === undefined ? width : prefixLength(prefix, width);
  if (length === undefined) return text;
  const bits = toBits(address, family);
  const kept = (bits >> BigInt(width - length)) << BigInt(width - length);
  return `${fromBits(kept, family)}/${length}`;
}

function prefixLength(text: string, width: number): number | undefined {
  if (/^\d{1,3}$/.test(text)) return Number(text) <= width ? Number(text) : undefined;
  if (width !== 32 || isIP(text) !== 4) return undefined;
  const binary = toBits(text, 'ipv4').toString(2).padStart(32, '0');
  return /^1*0*$/.test(binary) ? binary.replace(/0+$/, '').length : undefined;
}

function toBits(address: string, family: Family): bigint {
  if (family === 'ipv4') {
    return address.split('.').reduce((bits, octet) => (bits << 8n) | BigInt(octet), 0n);
  }
  return expandIpv6(address).reduce((bits, group) => (bits << 16n) | BigInt(group), 0n);
}

/** The eight 16-bit groups of an IPv6 address. */
function expandIpv6(address: string): readonly number[] {
  const plain = new SocketAddress({ address, family: 'ipv6' }).address.replace(
    /(\d+)\.(\d+)\.(\d+)\.(\d+)$/,
    (_, a: string, b: string, c: string, d: string) =>
      [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)]
        .map((group) => group.toString(16))
        .join(':'),
  );
  const [head = '', tail] = plain.split('::', 2);
  const read = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const left = read(head);
  const right = tail === undefined ? [] : read(tail);
  const missing = Math.max(0, 8 - left.length - right.length);
  return [...left, ...new Array<number>(missing).fill(0), ...right];
}

function fromBits(bits: bigint, family: Family): string {
  if (family === 'ipv4') {
    return [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn).join('.');
  }
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((bits >> BigInt(112 - index * 16)) & 0xffffn).toString(16),
  );
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
}
