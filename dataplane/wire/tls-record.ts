import { createCipheriv, createDecipheriv, type CipherGCMTypes } from 'node:crypto';
import type { TlsSuite } from './tls.ts';
import { nextTrafficSecret, trafficKeys, type TrafficKeys } from './tls-keys.ts';

const TAG_BYTES = 16;

/** A decrypted record: inner type and content, padding taken off (RFC 8446 section 5.2). */
export interface InnerRecord {
  readonly type: number;
  readonly content: Buffer;
}

/**
 * One direction of TLS 1.3 record protection under one traffic secret. Records must come in order:
 * the nonce counts them.
 */
export class RecordProtection {
  readonly suite: TlsSuite;
  #secret: Uint8Array;
  #keys: TrafficKeys;
  #sequence = 0;
  readonly #nonce = Buffer.alloc(12);

  constructor(suite: TlsSuite, secret: Uint8Array) {
    this.suite = suite;
    this.#secret = secret;
    this.#keys = trafficKeys(suite, secret);
  }

  /** Records done under the current keys. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Moves to the next secret, as after a KeyUpdate message. */
  update(): void {
    this.#secret = nextTrafficSecret(this.suite, this.#secret);
    this.#keys = trafficKeys(this.suite, this.#secret);
    this.#sequence = 0;
  }

  /**
   * Opens a whole record, its 5-byte header included. Undefined where it does not authenticate or
   * has no content type; the count of records moves on only where it opens.
   */
  open(record: Buffer): InnerRecord | undefined {
    const end = record.length - TAG_BYTES;
    if (end < 6) return undefined;
    const cipher = this.suite.cipher as CipherGCMTypes;
    const decipher = createDecipheriv(
      cipher,
      this.#keys.key,
      recordNonce(this.#nonce, this.#keys.iv, this.#sequence),
      TAG_OPTIONS,
    );
    decipher.setAAD(record.subarray(0, 5), AAD_OPTIONS);
    decipher.setAuthTag(record.subarray(end));
    const plain = decipher.update(record.subarray(5, end));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    this.#sequence++;
    return unpad(plain);
  }

  /** Seals content into a whole record, the header included. */
  seal(type: number, content: Uint8Array): Buffer {
    const length = content.length + 1 + TAG_BYTES;
    const header = Buffer.from([23, 3, 3, length >> 8, length]);
    const cipher = createCipheriv(
      this.suite.cipher as CipherGCMTypes,
      this.#keys.key,
      recordNonce(this.#nonce, this.#keys.iv, this.#sequence),
      TAG_OPTIONS,
    );
    cipher.setAAD(header, AAD_OPTIONS);
    const body = [cipher.update(content), cipher.update(Buffer.from([type])), cipher.final()];
    this.#sequence++;
    return Buffer.concat([header, ...body, cipher.getAuthTag()]);
  }
}

/** Writes to `nonce` the IV with the count of records mixed in (RFC 8446 section 5.3). */
export function recordNonce(nonce: Buffer, iv: Uint8Array, sequence: number): Buffer {
  nonce.set(iv);
  const high = Math.floor(sequence / 0x1_0000_0000);
  nonce.writeInt32BE(nonce.readInt32BE(4) ^ high, 4);
  nonce.writeInt32BE(nonce.readInt32BE(8) ^ (sequence >>> 0), 8);
  return nonce;
}

const TAG_OPTIONS = { authTagLength: TAG_BYTES };
const AAD_OPTIONS = { plaintextLength: 0 };

function unpad(plain: Buffer): InnerRecord | undefined {
  let end = plain.length - 1;
  while (end >= 0 && plain[end] === 0) end--;
  return end < 0 ? undefined : { type: plain[end]!, content: plain.subarray(0, end) };
}
