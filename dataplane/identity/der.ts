/** Tags of X.690 that certificates are made of. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One DER element: tag, length, contents. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthBytes(body.length), body]);
}

function lengthBytes(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest & 0xff);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

export function sequence(...contents: readonly Uint8Array[]): Buffer {
  return der(TAG.sequence, ...contents);
}

/** An object identifier from its dotted text. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return der(TAG.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}

/** A positive integer from big-endian bytes. */
export function positiveInteger(bytes: Uint8Array): Buffer {
  const needsZero = ((bytes[0] ?? 0) & 0x80) !== 0;
  return der(TAG.integer, needsZero ? Buffer.from([0]) : Buffer.alloc(0), bytes);
}

/** A bit string of whole bytes. */
export function bitString(bytes: Uint8Array): Buffer {
  return der(TAG.bitString, Buffer.from([0]), bytes);
}

/** A time as RFC 5280 §4.1.2.5 wants it: UTCTime until 2049, GeneralizedTime after. */
export function time(at: Date): Buffer {
  const text = `${at.toISOString().replace(/\.\d+|[-:T]/g, '')}`;
  const isShort = at.getUTCFullYear() < 2050;
  return der(
    isShort ? TAG.utcTime : TAG.generalizedTime,
    Buffer.from(isShort ? text.slice(2) : text, 'latin1'),
  );
}

/** A DER element found in bytes; `all` includes tag and length. */
export interface DerElement {
  readonly tag: number;
  readonly contents: Buffer;
  readonly all: Buffer;
}

/** Bytes that are no DER where DER is wanted. */
export class DerError extends Error {
  override readonly name = 'DerError';
  readonly code = 'DATAPLANE_DER';
  readonly offset: number;
  constructor(offset: number, fault: string) {
    super(`Cannot read DER at byte ${offset}: ${fault}`);
    this.offset = offset;
  }
}

/** The elements that follow each other in `bytes`. @throws DerError */
export function readElements(bytes: Buffer): DerElement[] {
  const elements: DerElement[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at] ?? 0;
    const { length, start } = readLength(bytes, at + 1);
    const end = start + length;
    if (end > bytes.length) throw new DerError(at, `${length} bytes announced, fewer there`);
    elements.push({ tag, contents: bytes.subarray(start, end), all: bytes.subarray(at, end) });
    at = end;
  }
  return elements;
}

function readLength(bytes: Buffer, at: number): { length: number; start: number } {
  const first = bytes[at];
  if (first === undefined) throw new DerError(at, 'no length');
  if (first < 0x80) return { length: first, start: at + 1 };
  const count = first & 0x7f;
  if (count === 0 || count > 4 || at + count >= bytes.length) throw new DerError(at, 'bad length');
  return { length: bytes.readUIntBE(at + 1, count), start: at + 1 + count };
}
