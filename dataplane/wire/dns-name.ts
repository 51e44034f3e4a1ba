import { WireError } from './errors.ts';

const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;
/** More than a name has labels, so that long chains of pointers cost nothing. */
const MAX_JUMPS = 128;
/** A pointer has 14 bits (RFC 1035 section 4.1.4). */
const MAX_POINTER = 0x3fff;

/**
 * Reads a domain name that may be compressed. Dots and backslashes inside a label come out
 * escaped (`\.`), octets outside printable ASCII as `\DDD`, as in zone files (RFC 1035 section 5.1).
 * Pointers must lead backwards.
 * @throws WireError
 */
export function readName(message: Buffer, offset: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = offset;
  let end = -1;
  let bytes = 1;
  let lowest = offset;
  let jumps = 0;
  for (;;) {
    const length = message[at];
    if (length === undefined) throw fault('it runs past the message', at);
    if (length === 0) break;
    if (length >= 0xc0) {
      const low = message[at + 1];
      if (low === undefined) throw fault('it runs past the message', at);
      if (end < 0) end = at + 2;
      at = ((length & 0x3f) << 8) | low;
      if (at >= lowest) throw fault('its pointer does not lead backwards', at);
      if (++jumps > MAX_JUMPS) throw fault(`over ${MAX_JUMPS} pointers`, at);
      lowest = at;
      continue;
    }
    if (length > MAX_LABEL_BYTES) throw fault(`label type ${length >> 6}`, at);
    bytes += 1 + length;
    if (bytes > MAX_NAME_BYTES) throw fault(`over ${MAX_NAME_BYTES} bytes`, at);
    if (at + 1 + length > message.length) throw fault('it runs past the message', at);
    labels.push(escapeLabel(message, at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.'), end: end < 0 ? at + 1 : end };
}

function fault(seen: string, offset: number): WireError {
  return new WireError('dns', `Cannot read name: ${seen}`, offset);
}

function escapeLabel(message: Buffer, start: number, end: number): string {
  for (let i = start; i < end; i++) {
    const byte = message[i]!;
    if (byte <= 0x20 || byte >= 0x7f || byte === 0x2e || byte === 0x5c) {
      return [...message.subarray(start, end)].map(escapeByte).join('');
    }
  }
  return message.toString('latin1', start, end);
}

function escapeByte(byte: number): string {
  if (byte === 0x2e || byte === 0x5c) return `\\${String.fromCharCode(byte)}`;
  if (byte > 0x20 && byte < 0x7f) return String.fromCharCode(byte);
  return `\\${String(byte).padStart(3, '0')}`;
}

/** Octets of each label of a dotted name (a last dot is allowed, escapes as {@link readName}). */
function labelsOf(name: string): Buffer[] {
  const fqdn = name.endsWith('.') && !name.endsWith('\\.') ? name.slice(0, -1) : name;
  if (fqdn === '') return [];
  const labels: Buffer[] = [];
  let octets: number[] = [];
  for (let i = 0; i <= fqdn.length; i++) {
    const char = fqdn[i];
    if (char === undefined || char === '.') {
      labels.push(checkedLabel(octets, name));
      octets = [];
    } else if (char === '\\') {
      const digits = fqdn.slice(i + 1, i + 4);
      const isDecimal = /^\d{3}$/.test(digits) && Number(digits) < 256;
      octets.push(isDecimal ? Number(digits) : fqdn.charCodeAt(i + 1) & 0xff);
      i += isDecimal ? 3 : 1;
    } else octets.push(fqdn.charCodeAt(i) & 0xff);
  }
  return labels;
}

function checkedLabel(octets: readonly number[], name: string): Buffer {
  if (octets.length > 0 && octets.length <= MAX_LABEL_BYTES) return Buffer.from(octets);
  throw new WireError(
    'dns',
    `Cannot write name "${name}": label of ${octets.length} bytes, 1 to ${MAX_LABEL_BYTES} wished`,
    0,
  );
}

/** Output of one DNS message: bytes, and names compressed against those written before. */
export class NameWriter {
  #out = Buffer.alloc(512);
  #at: number;
  /** Where each written suffix starts; keys in lower case, as names compare without case. */
  readonly #suffixes = new Map<string, number>();

  constructor(headerBytes: number) {
    this.#at = headerBytes;
  }

  get length(): number {
    return this.#at;
  }

  /** What was written, header included, still in this writer's memory. */
  bytes(): Buffer {
    return this.#out.subarray(0, this.#at);
  }

  /** Takes back everything after `length`. */
  rewind(length: number): void {
    this.#at = length;
    for (const [suffix, at] of this.#suffixes) if (at >= length) this.#suffixes.delete(suffix);
  }

  /** Writes a name, by pointer as far as it was written before where `mayPoint`. */
  name(name: string, mayPoint: boolean): void {
    const labels = labelsOf(name);
    const total = labels.reduce((sum, label) => sum + label.length + 1, 1);
    if (total > MAX_NAME_BYTES) {
      throw new WireError('dns', `Cannot write name "${name}": ${total} bytes, at most 255`, 0);
    }
    for (let i = 0; i < labels.length; i++) {
      const suffix = labels
        .slice(i)
        .map((label) => `${label.length}.${label.toString('latin1').toLowerCase()}`)
        .join('');
      const seenAt = this.#suffixes.get(suffix);
      if (mayPoint && seenAt !== undefined) return this.uint16(0xc000 | seenAt);
      if (seenAt === undefined && this.#at <= MAX_POINTER) this.#suffixes.set(suffix, this.#at);
      this.string(labels[i]!);
    }
    this.raw(ROOT);
  }

  /** A character string or label: its length in one byte, then itself. */
  string(octets: Uint8Array): void {
    if (octets.length > 255) {
      throw new WireError('dns', `Cannot write string of ${octets.length} bytes, at most 255`, 0);
    }
    this.#reserve(octets.length + 1);
    this.#out[this.#at] = octets.length;
    this.#out.set(octets, this.#at + 1);
    this.#at += octets.length + 1;
  }

  raw(octets: Uint8Array): void {
    this.#reserve(octets.length);
    this.#out.set(octets, this.#at);
    this.#at += octets.length;
  }

  uint16(value: number): void {
    this.#reserve(2);
    this.#at = this.#out.writeUInt16BE(value, this.#at);
  }

  uint32(value: number): void {
    this.#reserve(4);
    this.#at = this.#out.writeUInt32BE(value, this.#at);
  }

  patchUint16(at: number, value: number): void {
    if (value > 0xffff) {
      throw new WireError('dns', `Cannot write record of ${value} bytes, at most 65535`, at);
    }
    this.#out.writeUInt16BE(value, at);
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#out.length) return;
    const grown = Buffer.alloc(Math.max(this.#out.length * 2, this.#at + bytes));
    this.#out.copy(grown, 0, 0, this.#at);
    this.#out = grown;
  }
}

const ROOT = Buffer.alloc(1);

/** The error of a message that ends too soon. */
export function shortOf(bytes: number, offset: number): WireError {
  return new WireError(
    'dns',
    `Cannot read DNS message: ${bytes} bytes wished at ${offset}`,
    offset,
  );
}
