/** A range of IPv4 addresses, both ends included, as unsigned 32-bit numbers. */
export interface Ipv4Range {
  readonly first: number;
  readonly last: number;
}

/** Number of a dotted quad without leading zeros (inet_pton's form), or `undefined`. */
export function parseIpv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!match) return undefined;
  let value = 0;
  for (const part of match.slice(1)) {
    if (Number(part) > 255 || (part.length > 1 && part.startsWith('0'))) return undefined;
    value = value * 256 + Number(part);
  }
  return value;
}

/** Dotted quad of a number from 0 to 2^32 - 1. */
export function formatIpv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
}

/** Range of `a.b.c.d/n`, or `undefined`; bits set behind the prefix are not a CIDR. */
export function parseCidr(text: string): (Ipv4Range & { readonly prefix: number }) | undefined {
  const match = /^([\d.]+)\/(\d|[12]\d|3[0-2])$/.exec(text);
  const first = match ? parseIpv4(match[1]!) : undefined;
  if (first === undefined) return undefined;
  const prefix = Number(match![2]);
  const size = 2 ** (32 - prefix);
  if (first % size !== 0) return undefined;
  return { first, last: first + size - 1, prefix };
}

/** Whether two ranges share an address. */
export function overlaps(a: Ipv4Range, b: Ipv4Range): boolean {
  return a.first <= b.last && b.first <= a.last;
}

/** Whether an address lies in a range. */
export function contains(range: Ipv4Range, address: number): boolean {
  return range.first <= address && address <= range.last;
}
