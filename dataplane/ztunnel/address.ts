import { isIPv4, isIPv6 } from 'node:net';

/** An IP address in canonical text (RFC 5952; v4-mapped IPv6 shown as IPv4) and a TCP or UDP port. */
export interface Endpoint {
  readonly ip: string;
  readonly port: number;
}

/** An IP range; `bytes` is the network address, 4 or 16 bytes. */
export interface Cidr {
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly prefixLength: number;
}

/** True for a canonical or other textual IPv6 address. */
export function isIpv6(ip: string): boolean {
  return ip.includes(':');
}

/** 4 or 16 bytes of an IP address, undefined when the text is none. Zone ids are refused. */
export function ipBytes(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number);
  if (!isIPv6(text) || text.includes('%')) return undefined;
  return ipv6Bytes(text);
}

function ipv6Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  const [head = '', tail] = text.split('::');
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  front.forEach((group, i) => writeGroup(bytes, i, group));
  back.forEach((group, i) => writeGroup(bytes, 8 - back.length + i, group));
  return bytes;
}

function groups(part: string): number[] {
  if (part === '') return [];
  return part.split(':').flatMap((piece) => {
    if (!piece.includes('.')) return [Number.parseInt(piece, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = piece.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

function writeGroup(bytes: Uint8Array, index: number, group: number): void {
  bytes[2 * index] = group >> 8;
  bytes[2 * index + 1] = group & 0xff;
}

/** Canonical text of 4 or 16 address bytes; v4-mapped IPv6 becomes IPv4. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (isMapped(bytes)) return bytes.subarray(12).join('.');
  const words: number[] = [];
  for (let i = 0; i < 16; i += 2) words.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  return compressZeros(words);
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 10).every((b) => b === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

function compressZeros(words: readonly number[]): string {
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && words[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = words.map((word) => word.toString(16));
  if (best.start < 0) return hex.join(':');
  const tail = hex.slice(best.start + best.length).join(':');
  return `${hex.slice(0, best.start).join(':')}::${tail}`;
}

/** Canonical text of an IP address, undefined when it is none. */
export function canonicalIp(text: string): string | undefined {
  if (isIPv4(text)) return text;
  const bytes = ipBytes(text);
  return bytes && formatIp(bytes);
}

/** `ip:port`, IPv6 in brackets. */
export function formatEndpoint(endpoint: Endpoint): string {
  const { ip, port } = endpoint;
  return isIpv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** Reads strictly `ip:port` or `[ipv6]:port`; undefined for anything else (host names included). */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (!match) return undefined;
  const port = Number(match[3]);
  const bracketed = match[1];
  if (port > 65535 || (bracketed !== undefined && !isIpv6(bracketed))) return undefined;
  const ip = canonicalIp(bracketed ?? match[2] ?? '');
  return ip === undefined ? undefined : { ip, port };
}

/** 127.0.0.0/8 and ::1. */
export function isLoopback(ip: string): boolean {
  return ip === '::1' || (ip.startsWith('127.') && !isIpv6(ip));
}

/** Reads `address/length`; the length is mandatory. Undefined when it is not that. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.lastIndexOf('/');
  if (slash < 0 || !/^\d{1,3}$/.test(text.slice(slash + 1))) return undefined;
  const bytes = ipBytes(text.slice(0, slash));
  const prefixLength = Number(text.slice(slash + 1));
  if (!bytes || prefixLength > bytes.length * 8) return undefined;
  return { text, bytes, prefixLength };
}

/** Whether the range holds the address (of the same family). */
export function cidrContains(cidr: Cidr, ip: string): boolean {
  const bytes = ipBytes(ip);
  if (!bytes || bytes.length !== cidr.bytes.length) return false;
  const whole = cidr.prefixLength >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== cidr.bytes[i]) return false;
  const rest = cidr.prefixLength & 7;
  if (rest === 0) return true;
  const mask = (0xff << (8 - rest)) & 0xff;
  return ((bytes[whole] ?? 0) & mask) === ((cidr.bytes[whole] ?? 0) & mask);
}
