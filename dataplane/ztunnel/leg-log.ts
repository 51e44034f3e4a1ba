import { closeSync, openSync, writeSync } from 'node:fs';
import type { LegRecord } from './leg-record.ts';

/** What the caller of `LegLog` says; node and id are added. */
export type LegEntry = Omit<LegRecord, 'node' | 'id'>;

/** Appends leg records to a file, whole lines, those of one turn of the event loop together. */
export class LegLog implements Disposable {
  readonly #fd: number;
  readonly #node: string;
  #count = 0;
  #pending = '';
  #scheduled: NodeJS.Immediate | undefined;

  /** @throws Node's error when the file cannot be opened */
  constructor(path: string, node: string) {
    this.#fd = openSync(path, 'a', 0o644);
    this.#node = node;
  }

  write(entry: LegEntry): void {
    const record: LegRecord = { node: this.#node, id: `${this.#node}-${++this.#count}`, ...entry };
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
