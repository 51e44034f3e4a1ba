import { closeSync, openSync, writeSync } from 'node:fs';
import type { LegRecord } from './leg-record.ts';

/** What the caller of `LegLog` says; node and id are added. */
export type LegEntry = Omit<LegRecord, 'node' | 'id'>;

/** The record that a connection will have, as it is asked for before the connection ends. */
export type DescribeLeg = () => LegEntry;

/** Appends leg records to a file, whole lines, those of one turn of the event loop together. */
export class LegLog implements Disposable {
  readonly #fd: number;
  readonly #node: string;
  readonly #open = new Map<string, DescribeLeg>();
  #count = 0;
  #pending = '';
  #scheduled: NodeJS.Immediate | undefined;

  /** @throws Node's error when the file cannot be opened */
  constructor(path: string, node: string) {
    this.#fd = openSync(path, 'a', 0o644);
    this.#node = node;
  }

  /** A connection begins; gives the id of its record. */
  open(describe: DescribeLeg): string {
    const id = `${this.#node}-${++this.#count}`;
    this.#open.set(id, describe);
    return id;
  }

  /** It has ended: its record is written. */
  close(id: string, entry: LegEntry): void {
    this.#open.delete(id);
    this.#append(id, entry);
  }

  /** Writes a record of each connection that goes on, with `isOpen`; it gets its own at its end. */
  writeOpen(): void {
    for (const [id, describe] of this.#open) this.#append(id, { ...describe(), isOpen: true });
    this.flush();
  }

  #append(id: string, entry: LegEntry): void {
    const record: LegRecord = { node: this.#node, id, ...entry };
    this.#pending += `${JSON.stringify(record)}\n`;
    this.#scheduled ??= setImmediate(() => this.flush());
  }

  flush(): void {
    if (this.#scheduled) clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    const text = this.#pending;
    this.#pending = '';
    if (text) writeSync(this.#fd, text);
  }

  [Symbol.dispose](): void {
    this.flush();
    closeSync(this.#fd);
  }
}
