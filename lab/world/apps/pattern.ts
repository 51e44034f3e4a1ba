import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

const BLOCK_BYTES = 64 * 1024;

/**
 * Bytes that are the same for everyone who asks for the same number of them, and whose order shows:
 * each block of 64 kB begins with its own number.
 */
export function* patternBlocks(totalBytes: number): Generator<Buffer> {
  const filler = createHash('sha512').update('ambient-lab').digest();
  const model = Buffer.alloc(BLOCK_BYTES, filler);
  for (let sent = 0, block = 0; sent < totalBytes; sent += BLOCK_BYTES, block++) {
    const bytes = Buffer.from(model);
    bytes.writeUInt32BE(block, 0);
    yield bytes.subarray(0, Math.min(BLOCK_BYTES, totalBytes - sent));
  }
}

export function patternStream(totalBytes: number): Readable {
  return Readable.from(patternBlocks(totalBytes), {
    objectMode: false,
    highWaterMark: BLOCK_BYTES,
  });
}

/** SHA-256 in hex of what `patternStream` gives. */
export function patternHash(totalBytes: number): string {
  const hash = createHash('sha256');
  for (const block of patternBlocks(totalBytes)) hash.update(block);
  return hash.digest('hex');
}
