import { createDecipheriv, type CipherGCMTypes } from 'node:crypto';
import { GcmBatch } from './gcm-batch.ts';
import type { TlsSuite } from './tls.ts';
import { nextTrafficSecret, trafficKeys, type TrafficKeys } from './tls-keys.ts';
import { recordNonce } from './tls-record.ts';

const HEADER_BYTES = 5;
const TAG_BYTES = 16;
/** Fewer records than this under one secret do not pay for the tables of a batch. */
const MIN_BATCHED_RECORDS = 8;

/** Lengths of the records that follow the one being opened, as far as they are known. */
export interface Lookahead {
  /** How many, the one being opened included. */
  readonly count: number;
  /** Whole length of the record `index` further on. */
  readonly lengthOf: (index: number) => number;
}

/**
 * Opens the records of one direction of a TLS 1.3 session that was recorded: as
 * {@link RecordProtection} does, for hundreds of thousands of records at a time. Not for live ones.
 */
export class RecordOpener {
  readonly suite: TlsSuite;
  /** Content type of the record opened last. */
  type = 0;
  #secret: Uint8Array;
  #keys: TrafficKeys;
  #sequence = 0;
  readonly #nonce = Buffer.alloc(12);
  #batch: GcmBatch | undefined;

  constructor(suite: TlsSuite, secret: Uint8Array) {
    this.suite = suite;
    this.#secret = secret;
    this.#keys = trafficKeys(suite, secret);
  }

  /** Moves to the next secret, as after a KeyUpdate message. */
  update(): void {
    this.#secret = nextTrafficSecret(this.suite, this.#secret);
    this.#keys = trafficKeys(this.suite, this.#secret);
    this.#sequence = 0;
    this.#batch = undefined;
  }

  /**
   * Opens the record of `length` bytes at `offset`. Its content goes to `into` at `at`, where there
   * must be room for `length` bytes; sets `type` and returns the content's length. Returns -1 where
   * it does not authenticate or has no content type.
   */
  open(
    from: Buffer,
    offset: number,
    length: number,
    into: Buffer,
    at: number,
    ahead: Lookahead,
  ): number {
    const plainBytes = length - HEADER_BYTES - TAG_BYTES;
    if (plainBytes < 1) return -1;
    const batch = this.#batchFor(length, ahead);
    const isOpen = batch
      ? batch.open(this.#sequence, from, offset, length, into, at)
      : this.#openAlone(from, offset, length, into, at);
    if (!isOpen) return -1;
    this.#sequence++;
    let end = at + plainBytes - 1;
    while (end >= at && into[end] === 0) end--;
    if (end < at) return -1;
    this.type = into[end]!;
    return end - at;
  }

  /** The batch that holds the record which comes next, if it is to be opened by one. */
  #batchFor(length: number, ahead: Lookahead): GcmBatch | undefined {
    if (this.suite.cipher === 'chacha20-poly1305') return undefined;
    if (!this.#batch && ahead.count < MIN_BATCHED_RECORDS) return undefined;
    this.#batch ??= new GcmBatch(this.#keys.key, this.#keys.iv);
    if (!this.#batch.isWorth(length)) return undefined;
    if (!this.#batch.has(this.#sequence, length)) {
      this.#batch.prepare(this.#sequence, ahead.count, ahead.lengthOf);
    }
    return this.#batch;
  }

  #openAlone(from: Buffer, offset: number, length: number, into: Buffer, at: number): boolean {
    const body = offset + HEADER_BYTES;
    const end = offset + length - TAG_BYTES;
    const nonce = recordNonce(this.#nonce, this.#keys.iv, this.#sequence);
    const cipher = this.suite.cipher as CipherGCMTypes;
    const decipher = createDecipheriv(cipher, this.#keys.key, nonce, TAG_OPTIONS);
    decipher.setAAD(from.subarray(offset, body), AAD_OPTIONS);
    decipher.setAuthTag(from.subarray(end, end + TAG_BYTES));
    decipher.update(from.subarray(body, end)).copy(into, at);
    try {
      decipher.final();
      return true;
    } catch {
      return false;
    }
  }
}

const TAG_OPTIONS = { authTagLength: TAG_BYTES };
const AAD_OPTIONS = { plaintextLength: 0 };
