import { createCipheriv, type Cipher } from 'node:crypto';

const BLOCK_BYTES = 16;
const TAG_BYTES = 16;
const HEADER_BYTES = 5;
/** Beyond this length of a record the hash in JavaScript costs more than a call of OpenSSL. */
const MAX_RECORD_BYTES = 512;
const MAX_BATCH_RECORDS = 64;

/**
 * Opens short AES-GCM records of TLS 1.3 in batches. OpenSSL's cost of a record is mostly that of
 * setting up a cipher, some 4 µs; here one call makes the key stream of many, and the hash of NIST SP
 * 800-38D is done by tables. Tables of one key leak through caches, so this is for reading captures,
 * never for a live connection.
 */
export class GcmBatch {
  readonly #cipher: Cipher;
  readonly #iv: Buffer;
  readonly #hashTable: Int32Array;
  #counters = Buffer.alloc(0);
  #stream: Buffer = Buffer.alloc(0);
  #first = 0;
  #count = 0;
  /** Where the key stream of each record of the batch starts; -1 for a record that is too long. */
  readonly #starts = new Int32Array(MAX_BATCH_RECORDS);
  readonly #lengths = new Int32Array(MAX_BATCH_RECORDS);
  /** Words of the hash. */
  readonly #z = new Int32Array(4);

  constructor(key: Buffer, iv: Buffer) {
    const name = key.length === 16 ? 'aes-128-ecb' : 'aes-256-ecb';
    this.#cipher = createCipheriv(name, key, null).setAutoPadding(false);
    this.#iv = iv;
    this.#hashTable = hashTable(this.#cipher.update(Buffer.alloc(BLOCK_BYTES)));
  }

  /** True where the record of this number and whole length is in the current batch. */
  has(sequence: number, length: number): boolean {
    const index = sequence - this.#first;
    return (
      index >= 0 &&
      index < this.#count &&
      this.#starts[index]! >= 0 &&
      this.#lengths[index] === length
    );
  }

  /** True where a batch from this record on would be worth its cost. */
  isWorth(length: number): boolean {
    return length <= MAX_RECORD_BYTES && length > HEADER_BYTES + TAG_BYTES;
  }

  /**
   * Makes the key stream for records from number `sequence` on, whose whole lengths are
   * `lengthOf(0)`, `lengthOf(1)` and so on, up to `count` of them.
   */
  prepare(sequence: number, count: number, lengthOf: (index: number) => number): void {
    this.#first = sequence;
    this.#count = Math.min(count, MAX_BATCH_RECORDS);
    let bytes = 0;
    for (let i = 0; i < this.#count; i++) {
      const length = lengthOf(i);
      this.#lengths[i] = length;
      this.#starts[i] = this.isWorth(length) ? bytes : -1;
      if (this.isWorth(length)) bytes += blocksOf(length) * BLOCK_BYTES;
    }
    if (this.#counters.length < bytes) this.#counters = Buffer.allocUnsafeSlow(bytes * 2);
    for (let i = 0; i < this.#count; i++) {
      if (this.#starts[i]! >= 0)
        this.#writeCounters(sequence + i, this.#starts[i]!, this.#lengths[i]!);
    }
    this.#stream = this.#cipher.update(this.#counters.subarray(0, bytes));
  }

  /**
   * Opens the record at `offset`, which {@link has} said is in the batch; its plaintext, inner type
   * and padding included, goes to `into` at `at`. False where it does not authenticate.
   */
  open(
    sequence: number,
    from: Uint8Array,
    offset: number,
    length: number,
    into: Uint8Array,
    at: number,
  ): boolean {
    const start = this.#starts[sequence - this.#first]!;
    const stream = this.#stream;
    const body = offset + HEADER_BYTES;
    const end = offset + length - TAG_BYTES;
    this.#hash(from, offset, body, end);
    let difference = 0;
    for (let i = 0; i < TAG_BYTES; i++) {
      const hash = this.#z[i >> 2]! >>> (24 - 8 * (i & 3));
      difference |= (hash ^ stream[start + i]! ^ from[end + i]!) & 0xff;
    }
    if (difference !== 0) return false;
    const shift = start + BLOCK_BYTES - body;
    const move = at - body;
    for (let i = body; i < end; i++) into[i + move] = from[i]! ^ stream[i + shift]!;
    return true;
  }

  /** Counter blocks of a record: 1 for its tag, from 2 on for its content. */
  #writeCounters(sequence: number, start: number, length: number): void {
    const counters = this.#counters;
    const iv = this.#iv;
    for (let i = 0; i < 12; i++) counters[start + i] = iv[i]!;
    let rest = sequence;
    for (let i = 11; rest > 0 && i >= 4; i--) {
      counters[start + i]! ^= rest & 0xff;
      rest = Math.floor(rest / 256);
    }
    const blocks = blocksOf(length);
    for (let block = 0; block < blocks; block++) {
      const at = start + block * BLOCK_BYTES;
      if (block > 0) counters.copyWithin(at, start, start + 12);
      counters[at + 12] = 0;
      counters[at + 13] = 0;
      counters[at + 14] = (block + 1) >> 8;
      counters[at + 15] = block + 1;
    }
  }

  /** GHASH over the record's header, its content and their lengths. */
  #hash(from: Uint8Array, header: number, body: number, end: number): void {
    const z = this.#z;
    z[0] = word(from, header);
    z[1] = from[header + 4]! << 24;
    z[2] = 0;
    z[3] = 0;
    this.#multiply();
    let at = body;
    for (; at + BLOCK_BYTES <= end; at += BLOCK_BYTES) {
      z[0] ^= word(from, at);
      z[1] ^= word(from, at + 4);
      z[2] ^= word(from, at + 8);
      z[3] ^= word(from, at + 12);
      this.#multiply();
    }
    if (at < end) {
      for (let i = 0; at + i < end; i++) z[i >> 2]! ^= from[at + i]! << (24 - 8 * (i & 3));
      this.#multiply();
    }
    z[1] ^= HEADER_BYTES * 8;
    z[3] ^= (end - body) * 8;
    this.#multiply();
  }

  /** Multiplies the hash by its key, a byte at a time from the highest power down. */
  #multiply(): void {
    const z = this.#z;
    const table = this.#hashTable;
    let z0 = 0;
    let z1 = 0;
    let z2 = 0;
    let z3 = 0;
    for (let i = 3; i >= 0; i--) {
      const y = z[i]!;
      for (let shift = 0; shift < 32; shift += 8) {
        const reduced = REDUCTION[z3 & 0xff]!;
        const entry = ((y >>> shift) & 0xff) << 2;
        z3 = ((z3 >>> 8) | (z2 << 24)) ^ table[entry + 3]!;
        z2 = ((z2 >>> 8) | (z1 << 24)) ^ table[entry + 2]!;
        z1 = ((z1 >>> 8) | (z0 << 24)) ^ table[entry + 1]!;
        z0 = (z0 >>> 8) ^ reduced ^ table[entry]!;
      }
    }
    z[0] = z0;
    z[1] = z1;
    z[2] = z2;
    z[3] = z3;
  }
}

/** Blocks of key stream for a record: one for the tag, and its content's. */
function blocksOf(length: number): number {
  return 1 + Math.ceil((length - HEADER_BYTES - TAG_BYTES) / BLOCK_BYTES);
}

function word(from: Uint8Array, at: number): number {
  return (from[at]! << 24) | (from[at + 1]! << 16) | (from[at + 2]! << 8) | from[at + 3]!;
}

/** The polynomial of GCM, x^128 + x^7 + x^2 + x + 1, bits reflected. */
const POLYNOMIAL = 0xe1 << 24;

/** Multiplies the 128-bit element at `words[at]` by x, in place. */
function timesX(words: Int32Array, at: number): void {
  const carry = words[at + 3]! & 1;
  words[at + 3] = (words[at + 3]! >>> 1) | (words[at + 2]! << 31);
  words[at + 2] = (words[at + 2]! >>> 1) | (words[at + 1]! << 31);
  words[at + 1] = (words[at + 1]! >>> 1) | (words[at]! << 31);
  words[at] = (words[at]! >>> 1) ^ (carry ? POLYNOMIAL : 0);
}

/** What comes back at the top when a byte is shifted out at the bottom. */
const REDUCTION = Int32Array.from({ length: 256 }, (_, byte) => {
  const words = Int32Array.of(0, 0, 0, byte);
  for (let bit = 0; bit < 8; bit++) timesX(words, 0);
  return words[0]!;
});

/** The product of the hash key with each byte, four words each. */
function hashTable(key: Buffer): Int32Array {
  const table = new Int32Array(256 * 4);
  for (let i = 0; i < 4; i++) table[0x80 * 4 + i] = key.readInt32BE(4 * i);
  for (let bit = 0x40; bit > 0; bit >>= 1) {
    table.copyWithin(bit * 4, bit * 8, bit * 8 + 4);
    timesX(table, bit * 4);
  }
  for (let bit = 2; bit < 256; bit <<= 1) {
    for (let low = 1; low < bit; low++) {
      for (let i = 0; i < 4; i++) {
        table[(bit | low) * 4 + i] = table[bit * 4 + i]! ^ table[low * 4 + i]!;
      }
    }
  }
  return table;
}
