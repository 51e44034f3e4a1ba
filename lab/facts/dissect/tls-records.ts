import type { TlsRecord } from './types.ts';

/** Records of one side in columns; many captures hold hundreds of thousands. */
export class TlsRecords implements Iterable<TlsRecord> {
  readonly outerTypes: number[] = [];
  /** 0 where the record could not be decrypted. */
  readonly types: number[] = [];
  readonly starts: number[] = [];
  readonly ends: number[] = [];

  get count(): number {
    return this.starts.length;
  }

  add(outerType: number, type: number, start: number, end: number): void {
    this.outerTypes.push(outerType);
    this.types.push(type);
    this.starts.push(start);
    this.ends.push(end);
  }

  /** The record at `index`, which must be below `count`. */
  at(index: number): TlsRecord {
    const type = this.types[index]!;
    return {
      outerType: this.outerTypes[index]!,
      ...(type !== 0 && { type }),
      start: this.starts[index]!,
      end: this.ends[index]!,
    };
  }

  *[Symbol.iterator](): Iterator<TlsRecord> {
    for (let i = 0; i < this.count; i++) yield this.at(i);
  }
}
