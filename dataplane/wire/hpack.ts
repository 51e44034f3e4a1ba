import { HpackError } from './errors.ts';
import { DynamicTable, STATIC_ENTRIES, entrySize } from './hpack-table.ts';
import { STATIC_TABLE } from './hpack-tables.ts';
import { huffmanDecode, huffmanEncode, huffmanLength, huffmanMaxDecoded } from './huffman.ts';

export type HeaderField = [name: string, value: string];

const DEFAULT_MAX_HEADER_LIST_BYTES = 65_536;

/**
 * Decodes the header blocks of one direction of one HTTP/2 connection (RFC 7541), in order.
 * Names and values are octets, given as latin1 strings. After an error the connection is lost.
 */
export class HpackDecoder {
  readonly #table: DynamicTable;
  readonly #maxHeaderListBytes: number;
  #maxTableBytes: number;
  /** Smallest limit set since the last block, if the peer has yet to acknowledge it (4.2). */
  #owedUpdateBytes: number | undefined;
  #block: Buffer = Buffer.alloc(0);
  #at = 0;
  #scratch = Buffer.allocUnsafeSlow(512);

  /**
   * @param maxTableBytes our SETTINGS_HEADER_TABLE_SIZE
   * @param maxHeaderListBytes bound on one list, counted as SETTINGS_MAX_HEADER_LIST_SIZE does
   */
  constructor(maxTableBytes = 4096, maxHeaderListBytes = DEFAULT_MAX_HEADER_LIST_BYTES) {
    this.#table = new DynamicTable(maxTableBytes);
    this.#maxTableBytes = maxTableBytes;
    this.#maxHeaderListBytes = maxHeaderListBytes;
  }

  get tableBytes(): number {
    return this.#table.sizeBytes;
  }

  /** Takes a new SETTINGS_HEADER_TABLE_SIZE of ours, once the peer has acknowledged it. */
  setMaxTableBytes(bytes: number): void {
    if (bytes < this.#table.maxBytes) {
      this.#owedUpdateBytes = Math.min(bytes, this.#owedUpdateBytes ?? bytes);
    }
    this.#maxTableBytes = bytes;
  }

  /**
   * Decodes one complete header block.
   * @throws HpackError
   */
  decode(block: Uint8Array): HeaderField[] {
    this.#block = Buffer.isBuffer(block)
      ? block
      : Buffer.from(block.buffer, block.byteOffset, block.byteLength);
    this.#at = 0;
    this.#readSizeUpdates();
    const fields: HeaderField[] = [];
    let listBytes = 0;
    while (this.#at < block.length) {
      const field = this.#readField();
      listBytes += entrySize(field[0], field[1]);
      if (listBytes > this.#maxHeaderListBytes) {
        throw this.#error('header-list-size', `header list over ${this.#maxHeaderListBytes} bytes`);
      }
      fields.push(field);
    }
    return fields;
  }

  #readSizeUpdates(): void {
    const block = this.#block;
    while (this.#at < block.length && (block[this.#at]! & 0xe0) === 0x20) {
      const bytes = this.#readInteger(0x1f);
      if (bytes > this.#maxTableBytes) {
        throw this.#error('table-size', `table size ${bytes}, at most ${this.#maxTableBytes}`);
      }
      if (this.#owedUpdateBytes !== undefined && bytes <= this.#owedUpdateBytes) {
        this.#owedUpdateBytes = undefined;
      }
      this.#table.resize(bytes);
    }
    if (this.#owedUpdateBytes !== undefined && block.length > 0) {
      throw this.#error('table-size', `no table size update to ${this.#owedUpdateBytes} or less`);
    }
  }

  #readField(): HeaderField {
    const first = this.#block[this.#at]!;
    if (first & 0x80) {
      const index = this.#readInteger(0x7f);
      if (index === 0) throw this.#error('index', 'index 0');
      return this.#lookUp(index);
    }
    if (first & 0x40) {
      const field = this.#readLiteral(0x3f);
      this.#table.insert(field[0], field[1]);
      return field;
    }
    if (first & 0x20) throw this.#error('table-size', 'table size update after a field');
    return this.#readLiteral(0x0f);
  }

  #readLiteral(prefixMask: number): HeaderField {
    const index = this.#readInteger(prefixMask);
    const name = index === 0 ? this.#readString() : this.#lookUp(index)[0];
    return [name, this.#readString()];
  }

  #lookUp(index: number): HeaderField {
    if (index <= STATIC_ENTRIES) {
      const entry = STATIC_TABLE[index - 1]!;
      return [entry[0], entry[1]];
    }
    const age = index - STATIC_ENTRIES - 1;
    if (age >= this.#table.count) {
      throw this.#error('index', `index ${index} with ${this.#table.count} dynamic entries`);
    }
    return [this.#table.name(age), this.#table.value(age)];
  }

  /** RFC 7541 section 5.1, bounded to 28 bits beyond the prefix. */
  #readInteger(prefixMask: number): number {
    const block = this.#block;
    let value = block[this.#at++]! & prefixMask;
    if (value < prefixMask) return value;
    for (let shift = 0; shift < 28; shift += 7) {
      if (this.#at >= block.length) throw this.#error('integer', 'integer without its end');
      const byte = block[this.#at++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw this.#error('integer', 'integer of more than 28 bits');
  }

  #readString(): string {
    const block = this.#block;
    if (this.#at >= block.length) throw this.#error('string', 'string missing');
    const isHuffman = block[this.#at]! >= 0x80;
    const length = this.#readInteger(0x7f);
    const start = this.#at;
    const end = start + length;
    if (end > block.length) {
      throw this.#error('string', `string of ${length} bytes, ${block.length - start} left`);
    }
    this.#at = end;
    if (!isHuffman) return block.toString('latin1', start, end);
    const most = huffmanMaxDecoded(length);
    if (most > this.#scratch.length) this.#scratch = Buffer.allocUnsafeSlow(most);
    const octets = huffmanDecode(block, start, end, this.#scratch);
    return this.#scratch.toString('latin1', 0, octets);
  }

  #error(fault: HpackError['fault'], seen: string): HpackError {
    return new HpackError(fault, `Cannot decode header block: ${seen}`, this.#at);
  }
}

export interface HpackEncoderOptions {
  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  readonly maxTableBytes?: number;
  /** Names never to be indexed, by intermediaries neither (RFC 7541 section 6.2.3). */
  readonly sensitive?: ReadonlySet<string>;
  /** Names whose values repeat too seldom to be worth a place in the table. */
  readonly unindexed?: ReadonlySet<string>;
}

const SENSITIVE: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization']);
const UNINDEXED: ReadonlySet<string> = new Set([
  ':path',
  'age',
  'content-length',
  'date',
  'etag',
  'if-modified-since',
  'if-none-match',
  'location',
  'set-cookie',
  'traceparent',
]);

const STATIC_FIELDS = new Map(STATIC_TABLE.map(([name, value], i) => [key(name, value), i + 1]));
const STATIC_NAMES = new Map(STATIC_TABLE.map(([name], i) => [name, i + 1] as const).reverse());

/** Encodes the header blocks of one direction of one HTTP/2 connection, in order. */
export class HpackEncoder {
  readonly #table: DynamicTable;
  readonly #sensitive: ReadonlySet<string>;
  readonly #unindexed: ReadonlySet<string>;
  /** Newest ordinal of a field, and of a name, in the dynamic table. */
  readonly #fields = new Map<string, number>();
  readonly #names = new Map<string, number>();
  /** Sizes to announce at the start of the next block: the smallest since, and the last. */
  #announce: { readonly least: number; readonly last: number } | undefined;
  #out = Buffer.allocUnsafeSlow(1024);
  #at = 0;

  constructor(options: HpackEncoderOptions = {}) {
    this.#table = new DynamicTable(4096, (ordinal, name, value) => {
      if (this.#fields.get(key(name, value)) === ordinal) this.#fields.delete(key(name, value));
      if (this.#names.get(name) === ordinal) this.#names.delete(name);
    });
    this.#sensitive = options.sensitive ?? SENSITIVE;
    this.#unindexed = options.unindexed ?? UNINDEXED;
    if (options.maxTableBytes !== undefined) this.setMaxTableBytes(options.maxTableBytes);
  }

  /** Takes the peer's SETTINGS_HEADER_TABLE_SIZE; never uses more than 4096 bytes of it. */
  setMaxTableBytes(bytes: number): void {
    const last = Math.min(bytes, 4096);
    if (last === (this.#announce?.last ?? this.#table.maxBytes)) return;
    this.#announce = { least: Math.min(last, this.#announce?.least ?? last), last };
  }

  /**
   * Encodes one header list to a block of its own memory. Names must be lower case; both are
   * octets as latin1 strings. The block must be sent, and blocks in this order.
   */
  encode(headers: readonly (readonly [name: string, value: string])[]): Buffer {
    this.#at = 0;
    this.#reserve(16);
    if (this.#announce) {
      const { least, last } = this.#announce;
      if (least < last) this.#announceSize(least);
      this.#announceSize(last);
      this.#announce = undefined;
    }
    for (const [name, value] of headers) this.#encodeField(name, value);
    return Buffer.from(this.#out.subarray(0, this.#at));
  }

  #announceSize(bytes: number): void {
    this.#table.resize(bytes);
    this.#writeInteger(0x20, 0x1f, bytes);
  }

  #encodeField(name: string, value: string): void {
    this.#reserve(name.length + value.length + 32);
    const isSensitive = this.#sensitive.has(name);
    if (!isSensitive) {
      const index = this.#fieldIndex(name, value);
      if (index > 0) return this.#writeInteger(0x80, 0x7f, index);
    }
    const nameIndex = this.#nameIndex(name);
    // An entry of more than half the table would push out all that is of use.
    const isIndexed =
      !isSensitive &&
      !this.#unindexed.has(name) &&
      entrySize(name, value) * 2 <= this.#table.maxBytes;
    if (isIndexed) this.#writeInteger(0x40, 0x3f, nameIndex);
    else this.#writeInteger(isSensitive ? 0x10 : 0, 0x0f, nameIndex);
    if (nameIndex === 0) this.#writeString(name);
    this.#writeString(value);
    if (isIndexed && this.#table.insert(name, value)) {
      this.#fields.set(key(name, value), this.#table.inserted - 1);
      this.#names.set(name, this.#table.inserted - 1);
    }
  }

  #fieldIndex(name: string, value: string): number {
    const fieldKey = key(name, value);
    const ordinal = this.#fields.get(fieldKey);
    if (ordinal !== undefined) return STATIC_ENTRIES + this.#table.inserted - ordinal;
    return STATIC_FIELDS.get(fieldKey) ?? 0;
  }

  #nameIndex(name: string): number {
    const index = STATIC_NAMES.get(name);
    if (index !== undefined) return index;
    const ordinal = this.#names.get(name);
    return ordinal === undefined ? 0 : STATIC_ENTRIES + this.#table.inserted - ordinal;
  }

  #writeInteger(pattern: number, prefixMask: number, value: number): void {
    const out = this.#out;
    if (value < prefixMask) {
      out[this.#at++] = pattern | value;
      return;
    }
    out[this.#at++] = pattern | prefixMask;
    value -= prefixMask;
    for (; value >= 0x80; value >>>= 7) out[this.#at++] = 0x80 | (value & 0x7f);
    out[this.#at++] = value;
  }

  #writeString(text: string): void {
    const coded = huffmanLength(text);
    if (coded < text.length) {
      this.#writeInteger(0x80, 0x7f, coded);
      this.#at = huffmanEncode(text, this.#out, this.#at);
    } else {
      this.#writeInteger(0, 0x7f, text.length);
      this.#at += this.#out.write(text, this.#at, 'latin1');
    }
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#out.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#out.length * 2, this.#at + bytes));
    this.#out.copy(grown, 0, 0, this.#at);
    this.#out = grown;
  }
}

function key(name: string, value: string): string {
  return `${name}\0${value}`;
}
