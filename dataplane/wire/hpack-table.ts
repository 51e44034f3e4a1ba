import { STATIC_TABLE } from './hpack-tables.ts';

/** RFC 7541 section 4.1: what an entry costs beyond its octets. */
export const ENTRY_OVERHEAD_BYTES = 32;

export const STATIC_ENTRIES = STATIC_TABLE.length;

/** Bytes that an entry counts for (name and value are octets as latin1). */
export function entrySize(name: string, value: string): number {
  return name.length + value.length + ENTRY_OVERHEAD_BYTES;
}

/**
 * Dynamic table of RFC 7541 section 2.3.2: a ring, newest entry first when asked by index.
 * Entries also have an ordinal (how many were inserted before), which never changes.
 */
export class DynamicTable {
  #names: string[] = new Array<string>(32).fill('');
  #values: string[] = new Array<string>(32).fill('');
  #inserted = 0;
  #evicted = 0;
  #sizeBytes = 0;
  #maxBytes: number;
  readonly #onEvict: ((ordinal: number, name: string, value: string) => void) | undefined;

  constructor(maxBytes: number, onEvict?: (ordinal: number, name: string, value: string) => void) {
    this.#maxBytes = maxBytes;
    this.#onEvict = onEvict;
  }

  get count(): number {
    return this.#inserted - this.#evicted;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** Ordinal the next inserted entry gets. */
  get inserted(): number {
    return this.#inserted;
  }

  /** Name of the entry `age` insertions ago, 0 being the newest; `age` must be below `count`. */
  name(age: number): string {
    return this.#names[(this.#inserted - 1 - age) & (this.#names.length - 1)]!;
  }

  value(age: number): string {
    return this.#values[(this.#inserted - 1 - age) & (this.#values.length - 1)]!;
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  /** Inserts as section 4.4 says: an entry larger than the table empties it. True if it is in. */
  insert(name: string, value: string): boolean {
    const size = entrySize(name, value);
    if (size > this.#maxBytes) {
      this.#evictTo(0);
      return false;
    }
    this.#evictTo(this.#maxBytes - size);
    if (this.count === this.#names.length) this.#grow();
    const slot = this.#inserted & (this.#names.length - 1);
    this.#names[slot] = name;
    this.#values[slot] = value;
    this.#inserted++;
    this.#sizeBytes += size;
    return true;
  }

  #evictTo(bytes: number): void {
    while (this.#sizeBytes > bytes) {
      const slot = this.#evicted & (this.#names.length - 1);
      const name = this.#names[slot]!;
      const value = this.#values[slot]!;
      this.#names[slot] = '';
      this.#values[slot] = '';
      this.#sizeBytes -= entrySize(name, value);
      this.#onEvict?.(this.#evicted, name, value);
      this.#evicted++;
    }
  }

  #grow(): void {
    const { length } = this.#names;
    const names = new Array<string>(length * 2).fill('');
    const values = new Array<string>(length * 2).fill('');
    for (let ordinal = this.#evicted; ordinal < this.#inserted; ordinal++) {
      names[ordinal & (2 * length - 1)] = this.#names[ordinal & (length - 1)]!;
      values[ordinal & (2 * length - 1)] = this.#values[ordinal & (length - 1)]!;
    }
    this.#names = names;
    this.#values = values;
  }
}
