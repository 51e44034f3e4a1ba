import { isIPv4, isIPv6 } from 'node:net';

/** Families in Kubernetes' words, as `ipFamilies` lists them. */
export const IP_FAMILIES = ['IPv4', 'IPv6'] as const;

export type IpFamily = (typeof IP_FAMILIES)[number];

/** An address as an unsigned number of 32 or 128 bits. */
export interface IpValue {
  readonly family: IpFamily;
  readonly value: bigint;
}

/** A range of addresses, both ends included. */
export interface IpRange {
  readonly family: IpFamily;
  readonly first: bigint;
  readonly last: bigint;
  readonly prefix: number;
}

/** Bits of an address of the family. */
export function widthOf(family: IpFamily): 32 | 128 {
  return family === 'IPv4' ? 32 : 128;
}

/** Family of a text that is an address; zone ids are none. */
export function familyOf(text: string): IpFamily | undefined {
  if (isIPv4(text)) return 'IPv4';
  return isIPv6(text) && !text.includes('%') ? 'IPv6' : undefined;
}

/** Number of an address in any spelling inet_pton takes, or `undefined`. */
export function parseIp(text: string): IpValue | undefined {
  const family = familyOf(text);
  if (family === undefined) return undefined;
  const groups = family === 'IPv4' ? text.split('.').map(Number) : groupsOf(text);
  const bits = family === 'IPv4' ? 8n : 16n;
  return { family, value: groups.reduce((sum, group) => (sum << bits) | BigInt(group), 0n) };
}

/** Canonical text of an address: dotted quad, or RFC 5952. */
export function formatIp(family: IpFamily, value: bigint): string {
  if (family === 'IPv4') {
    return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
  }
  const groups = Array.from({ length: 8 }, (_, index) =>
    Number((value >> BigInt(112 - 16 * index)) & 0xffffn),
  );
  return compress(groups);
}

/** The address in canonical text, or `undefined`. */
export function canonicalIp(text: string): string | undefined {
  const parsed = parseIp(text);
  return parsed && formatIp(parsed.family, parsed.value);
}

/** Range of `address/n`, or `undefined`; bits set behind the prefix are not a CIDR. */
export function parseIpRange(text: string): IpRange | undefined {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text);
  const address = match ? parseIp(match[1]!) : undefined;
  if (address === undefined) return undefined;
  const { family, value: first } = address;
  const prefix = Number(match![2]);
  if (prefix > widthOf(family)) return undefined;
  const size = 1n << BigInt(widthOf(family) - prefix);
  return first % size === 0n ? { family, first, last: first + size - 1n, prefix } : undefined;
}

/** Whether two ranges share an address. */
export function rangesOverlap(a: IpRange, b: IpRange): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** Whether an address lies in a range. */
export function rangeHolds(range: IpRange, address: IpValue): boolean {
  const { family, value } = address;
  return range.family === family && range.first <= value && value <= range.last;
}

/** Address number `offset` of a range, the first being 0. */
export function addressIn(range: IpRange, offset: number | bigint): string {
  return formatIp(range.family, range.first + BigInt(offset));
}

/** The address as it stands in front of `:port`: IPv6 in brackets. */
export function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

function groupsOf(text: string): number[] {
  const [head = '', tail] = text.split('::');
  const front = readGroups(head);
  const back = tail === undefined ? [] : readGroups(tail);
  return [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
}

/** The last 32 bits may be a dotted quad (RFC 4291 §2.2). */
function readGroups(part: string): number[] {
  if (part === '') return [];
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

/** The longest run of two zero groups or more, the first of several, becomes `::`. */
function compress(groups: readonly number[]): string {
  let best = { start: 0, length: 1 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const text = (part: readonly number[]): string => part.map((one) => one.toString(16)).join(':');
  if (best.length < 2) return text(groups);
  return `${text(groups.slice(0, best.start))}::${text(groups.slice(best.start + best.length))}`;
}
