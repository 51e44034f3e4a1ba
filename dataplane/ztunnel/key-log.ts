import { closeSync, openSync, writeSync } from 'node:fs';

/** Appends TLS secrets in NSS key log format to a file, whole lines, at once. */
export class KeyLog implements Disposable {
  readonly #fd: number;

  /** @throws Node's error when the file cannot be opened */
  constructor(path: string) {
    this.#fd = openSync(path, 'a', 0o600);
  }

  /** Before any application byte is sent, so that a capture can always be read. */
  write(line: string): void {
    writeSync(this.#fd, `${line}\n`);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
