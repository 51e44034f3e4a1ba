import { closeSync, openSync, readSync } from 'node:fs';
import { MAX_SOURCE_BYTES } from './source.ts';

const RETRY_MS = 5;

/**
 * Text of a file or of an open descriptor, or why there is none in words. No more is read than a source may have, so that
 * an endless file (`/dev/zero`) is only too large.
 */
export function readText(
  file: string | number,
): string | { readonly reason: string; cause: unknown } {
  try {
    if (typeof file === 'number') return readBounded(file).toString('utf8');
    const descriptor = openSync(file, 'r');
    try {
      return readBounded(descriptor).toString('utf8');
    } finally {
      closeSync(descriptor);
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: 'no such file',
      ENOTDIR: 'no such file',
      EISDIR: 'it is a directory, want a file',
      EACCES: 'no permission to read it',
    };
    return { reason: reasons[code ?? ''] ?? (cause as Error).message, cause };
  }
}

function readBounded(descriptor: number): Buffer {
  const buffer = Buffer.alloc(MAX_SOURCE_BYTES + 1);
  let length = 0;
  while (length < buffer.length) {
    const read = readSome(descriptor, buffer, length);
    if (read === 0) break;
    length += read;
  }
  return buffer.subarray(0, length);
}

/** A descriptor that somebody made non-blocking has nothing yet at times: that is not its end. */
function readSome(descriptor: number, buffer: Buffer, offset: number): number {
  for (;;) {
    try {
      return readSync(descriptor, buffer, offset, buffer.length - offset, null);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}
