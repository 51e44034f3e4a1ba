import { RecordOpener } from './tls-keys.ts';

export const RECORD_TYPE = {
  changeCipherSpec: 20,
  alert: 21,
  handshake: 22,
  applicationData: 23,
} as const;

/** RFC 8446 §4. */
export const HANDSHAKE_TYPE = { serverHello: 2, newSessionTicket: 4, finished: 20, keyUpdate: 24 };

const HEADER_BYTES = 5;
const LONGEST_RECORD_BYTES = HEADER_BYTES + 16_384 + 256;
/** Far more than any chain of certificates needs; bounds what a stranger can make us hold. */
const MOST_HANDSHAKE_BYTES = 512 * 1024;

/** Cuts one direction of a TLS connection into whole records; at most one is held. */
export class RecordCutter {
  #held: Buffer = Buffer.alloc(0);
  #total = 0;

  /**
   * @param bytes kept; the caller gives up a copy
   * @throws Error when the bytes are not TLS or exceed what a handshake may take
   */
  push(bytes: Buffer): void {
    this.#total += bytes.length;
    if (this.#total > MOST_HANDSHAKE_BYTES) throw new Error('handshake of more than 512 kB');
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
  }

  /** The next whole record without taking it, or undefined. */
  peek(): Buffer | undefined {
    if (this.#held.length < HEADER_BYTES) return undefined;
    const type = this.#held[0]!;
    const end = HEADER_BYTES + this.#held.readUInt16BE(3);
    if (type < 20 || type > 23 || end > LONGEST_RECORD_BYTES) throw new Error('not a TLS record');
    return this.#held.length < end ? undefined : this.#held.subarray(0, end);
  }

  take(record: Buffer): void {
    this.#held = this.#held.subarray(record.length);
  }

  /** Everything not taken. */
  rest(): Buffer {
    return this.#held;
  }
}

/**
 * Follows one sender's handshake to the record that holds its Finished, which is the last under the
 * handshake keys (RFC 8446 §4.4.4, §5.1: messages do not span key changes).
 */
export class FinishedFinder {
  #opener: RecordOpener | undefined;
  #message = Buffer.alloc(0);
  #isFinished = false;

  get isFinished(): boolean {
    return this.#isFinished;
  }

  get hasKey(): boolean {
    return this.#opener !== undefined;
  }

  setSecret(suite: number, secret: Buffer): void {
    this.#opener = new RecordOpener(suite, secret);
  }

  /** Takes a record of type application data sent before the Finished was seen. */
  take(record: Buffer): void {
    const opened = this.#opener!.open(record);
    if (opened.type !== RECORD_TYPE.handshake) return;
    this.#message = Buffer.concat([this.#message, opened.content]);
    while (this.#message.length >= 4) {
      const end = 4 + this.#message.readUIntBE(1, 3);
      if (this.#message.length < end) return;
      if (this.#message[0] === HANDSHAKE_TYPE.finished) this.#isFinished = true;
      this.#message = this.#message.subarray(end);
    }
  }
}

/** Cipher suite of a ServerHello (or HelloRetryRequest) record, or undefined for another record. */
export function suiteOfServerHello(record: Buffer): number | undefined {
  if (record[0] !== RECORD_TYPE.handshake || record[5] !== HANDSHAKE_TYPE.serverHello)
    return undefined;
  const sessionIdAt = HEADER_BYTES + 4 + 2 + 32;
  const suiteAt = sessionIdAt + 1 + (record[sessionIdAt] ?? 0);
  return suiteAt + 2 <= record.length ? record.readUInt16BE(suiteAt) : undefined;
}
