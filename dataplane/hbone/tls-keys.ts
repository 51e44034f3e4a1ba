/** TLS 1.3 key schedule below the traffic secrets (RFC 8446 §7). */
import { createDecipheriv, createHmac } from 'node:crypto';
import { CIPHER_SUITE } from '../kernel/engine.ts';

export interface RecordKeys {
  readonly key: Buffer;
  readonly iv: Buffer;
}

const TAG_BYTES = 16;
const HEADER_BYTES = 5;

/** Longest HKDF output needed here is one hash block, so one round of Expand does. */
function expandLabel(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`, 'latin1');
  const info = Buffer.concat([
    Buffer.from([length >> 8, length & 0xff, name.length]),
    name,
    Buffer.from([0, 1]),
  ]);
  const hash = secret.length === 48 ? 'sha384' : 'sha256';
  return createHmac(hash, secret).update(info).digest().subarray(0, length);
}

/** Key and IV of a traffic secret (§7.3). */
export function recordKeys(suite: number, secret: Buffer): RecordKeys {
  const keyBytes = suite === CIPHER_SUITE.aes128Gcm ? 16 : 32;
  return { key: expandLabel(secret, 'key', keyBytes), iv: expandLabel(secret, 'iv', 12) };
}

/** The secret after a KeyUpdate (§7.2). */
export function nextSecret(secret: Buffer): Buffer {
  return expandLabel(secret, 'traffic upd', secret.length);
}

/** A record opened: content type and content, padding taken off. */
export interface OpenedRecord {
  readonly type: number;
  readonly content: Buffer;
}

/** Opens whole records (header included) in order, from sequence 0. For handshakes only. */
export class RecordOpener {
  readonly #cipher: string;
  readonly #keys: RecordKeys;
  #sequence = 0;

  constructor(suite: number, secret: Buffer) {
    this.#cipher = CIPHERS.get(suite) ?? 'aes-256-gcm';
    this.#keys = recordKeys(suite, secret);
  }

  get sequence(): number {
    return this.#sequence;
  }

  /** @throws Error when the record was not sealed with this key */
  open(record: Buffer): OpenedRecord {
    const nonce = Buffer.from(this.#keys.iv);
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ this.#sequence) >>> 0, 8);
    this.#sequence++;
    const options = { authTagLength: TAG_BYTES };
    const opener = createDecipheriv(this.#cipher as 'aes-256-gcm', this.#keys.key, nonce, options);
    opener.setAAD(record.subarray(0, HEADER_BYTES));
    opener.setAuthTag(record.subarray(record.length - TAG_BYTES));
    const inner = opener.update(record.subarray(HEADER_BYTES, record.length - TAG_BYTES));
    opener.final();
    let end = inner.length;
    while (end > 0 && inner[end - 1] === 0) end--;
    if (end === 0) throw new Error('Cannot open record: no content type');
    return { type: inner[end - 1]!, content: inner.subarray(0, end - 1) };
  }
}

const CIPHERS: ReadonlyMap<number, string> = new Map([
  [CIPHER_SUITE.aes128Gcm, 'aes-128-gcm'],
  [CIPHER_SUITE.aes256Gcm, 'aes-256-gcm'],
  [CIPHER_SUITE.chacha20Poly1305, 'chacha20-poly1305'],
]);
