/** More than any chain of certificates; a wrong length must not make us hold more. */
const MAX_MESSAGE_BYTES = 256 * 1024;

/** Cuts the content of handshake records into messages, which records may split or join. */
export class HandshakeReader {
  readonly #onMessage: (type: number, body: Buffer) => void;
  #held: Buffer | undefined;

  constructor(onMessage: (type: number, body: Buffer) => void) {
    this.#onMessage = onMessage;
  }

  /** True while a message waits for its rest. */
  get isHolding(): boolean {
    return this.#held !== undefined;
  }

  /** Takes the content of the next record; false where a message is too long to be one. */
  push(content: Buffer): boolean {
    let bytes = this.#held ? Buffer.concat([this.#held, content]) : content;
    while (bytes.length >= 4) {
      const end = 4 + bytes.readUIntBE(1, 3);
      if (end > MAX_MESSAGE_BYTES) return false;
      if (end > bytes.length) break;
      this.#onMessage(bytes[0]!, bytes.subarray(4, end));
      bytes = bytes.subarray(end);
    }
    this.#held = bytes.length > 0 ? bytes : undefined;
    return true;
  }
}
