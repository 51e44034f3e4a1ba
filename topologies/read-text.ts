import { closeSync, openSync, readSync } from 'node:fs';
import { MAX_SOURCE_BYTES } from './source.ts';

/**
 * Text of a file, or why there is none in words. No more is read than a source may have, so that
 * an endless file (`/dev/zero`) is only too large.
 */
export function readText(file: string): string | { readonly reason: string; cause: unknown } {
  try {
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
    const read = readSync(descriptor, buffer, length, buffer.length - length, null);
    if (read === 0) break;
    length += read;
  }
  return buffer.subarray(0, length);
}
