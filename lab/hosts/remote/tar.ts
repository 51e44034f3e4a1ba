import { createReadStream } from 'node:fs';

/**
 * Archives as POSIX has them (ustar with pax headers for what ustar cannot say), written and read by
 * ourselves: both ends are ours, and a machine that is sent one has nothing but Node for sure.
 */
const BLOCK = 512;
/** Paths of headers; more is no path of ours. */
const MAX_PAX_BYTES = 64 * 1024;

export type TarEntry =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly isExecutable: boolean;
      readonly sizeBytes: number;
    };

/** What is read: a file's bytes must be taken before the next entry is asked for. */
export type ReadEntry = TarEntry & { readonly body: AsyncIterable<Buffer> };

/** Bytes that are no archive of ours, or the beginning of one only. */
export class TarError extends Error {
  override readonly name = 'TarError';
  readonly code = 'LAB_SSH_BAD_ARCHIVE';
}

/** Where an entry's bytes come from when it is a file. */
export interface TarSource {
  readonly entry: TarEntry;
  readonly file: string;
}

/**
 * Writes an archive piece by piece. A file that grows meanwhile is cut at the size that was told, one
 * that shrinks is filled with zeros.
 */
export async function* writeTar(sources: Iterable<TarSource>): AsyncGenerator<Buffer> {
  for (const { entry, file } of sources) {
    yield* headers(entry);
    if (entry.kind !== 'file' || entry.sizeBytes === 0) continue;
    let left = entry.sizeBytes;
    for await (const part of createReadStream(file, { end: entry.sizeBytes - 1 })) {
      left -= (part as Buffer).length;
      yield part as Buffer;
    }
    yield Buffer.alloc(left + padding(entry.sizeBytes));
  }
  yield Buffer.alloc(2 * BLOCK);
}

/**
 * Reads an archive, entry by entry.
 *
 * @throws TarError for bytes that are none, an end that comes early, and paths that lead out of it
 */
export async function* readTar(stream: AsyncIterable<Buffer>): AsyncGenerator<ReadEntry> {
  const bytes = new ByteReader(stream);
  let pax: ReadonlyMap<string, string> = new Map();
  for (;;) {
    const header = await bytes.take(BLOCK);
    if (header.every((byte) => byte === 0)) return;
    requireChecksum(header);
    const sizeBytes = octal(header, 124, 12);
    const type = String.fromCharCode(header[156] ?? 0);
    if (type === 'x') {
      if (sizeBytes > MAX_PAX_BYTES)
        throw new TarError('Cannot read the archive: a header of it is too long');
      pax = paxFields(await bytes.take(sizeBytes));
      await bytes.take(padding(sizeBytes));
      continue;
    }
    const path = pax.get('path') ?? pathOf(header);
    const target = pax.get('linkpath') ?? text(header, 157, 100);
    pax = new Map();
    requireInside(path);
    const body = bytes.body(sizeBytes);
    if (type === '5') yield { kind: 'directory', path, body };
    else if (type === '2') yield { kind: 'link', path, target, body };
    else if (type === '0' || type === '\0') {
      const isExecutable = (octal(header, 100, 8) & 0o100) !== 0;
      yield { kind: 'file', path, isExecutable, sizeBytes, body };
    } else throw new TarError(`Cannot read the archive: "${path}" is of type "${type}"`);
    for await (const part of body) void part;
    await bytes.take(padding(sizeBytes));
  }
}

function* headers(entry: TarEntry): Generator<Buffer> {
  const fields: [string, string][] = [];
  if (Buffer.byteLength(entry.path) > 100) fields.push(['path', entry.path]);
  if (entry.kind === 'link' && Buffer.byteLength(entry.target) > 100)
    fields.push(['linkpath', entry.target]);
  if (fields.length > 0) {
    const body = Buffer.concat(fields.map(([key, value]) => paxRecord(key, value)));
    yield header({ path: 'pax', type: 'x', mode: 0o644, sizeBytes: body.length, target: '' });
    yield Buffer.concat([body, Buffer.alloc(padding(body.length))]);
  }
  const isFile = entry.kind === 'file';
  yield header({
    path: entry.path,
    type: isFile ? '0' : entry.kind === 'link' ? '2' : '5',
    mode: isFile && !entry.isExecutable ? 0o644 : 0o755,
    sizeBytes: isFile ? entry.sizeBytes : 0,
    target: entry.kind === 'link' ? entry.target : '',
  });
}

interface Header {
  readonly path: string;
  readonly type: string;
  readonly mode: number;
  readonly sizeBytes: number;
  readonly target: string;
}

/** POSIX.1-2017, pax, "ustar Interchange Format"; no owner and no time, both mean nothing over there. */
function header({ path, type, mode, sizeBytes, target }: Header): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octalField = (value: number, at: number, length: number): void => {
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  };
  Buffer.from(path).copy(block, 0, 0, 100);
  octalField(mode, 100, 8);
  octalField(0, 108, 8);
  octalField(0, 116, 8);
  octalField(sizeBytes, 124, 12);
  octalField(0, 136, 12);
  block.write(type, 156, 'latin1');
  Buffer.from(target).copy(block, 157, 0, 100);
  block.write('ustar\x0000', 257, 'latin1');
  octalField(checksumOf(block), 148, 7);
  block.write(' ', 155, 'latin1');
  return block;
}

/** Its own length counts in it, which may make it longer. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest;
  while (String(length).length + rest > length) length++;
  return Buffer.from(`${length} ${key}=${value}\n`);
}

function paxFields(body: Buffer): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (let at = 0; at < body.length;) {
    const length = Number.parseInt(body.toString('latin1', at, at + 10), 10);
    if (!(length > 0)) throw new TarError('Cannot read the archive: a header of it has no length');
    const record = body.toString('utf8', at, at + length - 1);
    const [, key = '', value = ''] = /^\d+ ([^=]*)=(.*)$/s.exec(record) ?? [];
    fields.set(key, value);
    at += length;
  }
  return fields;
}

/** The checksum counts its own field as blanks. */
function checksumOf(block: Buffer): number {
  let sum = 0;
  for (const [at, byte] of block.entries()) sum += at >= 148 && at < 156 ? 32 : byte;
  return sum;
}

function requireChecksum(block: Buffer): void {
  if (octal(block, 148, 8) === checksumOf(block)) return;
  throw new TarError('Cannot read the archive: these bytes are no header of one');
}

function pathOf(block: Buffer): string {
  const prefix = text(block, 345, 155);
  return prefix === '' ? text(block, 0, 100) : `${prefix}/${text(block, 0, 100)}`;
}

function requireInside(path: string): void {
  const isInside = path !== '' && !path.startsWith('/') && !path.split('/').includes('..');
  if (!isInside) throw new TarError(`Cannot read the archive: "${path}" leads out of it`);
}

function text(block: Buffer, at: number, length: number): string {
  const field = block.subarray(at, at + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? length : end);
}

function octal(block: Buffer, at: number, length: number): number {
  return Number.parseInt(text(block, at, length).trim() || '0', 8);
}

function padding(sizeBytes: number): number {
  return (BLOCK - (sizeBytes % BLOCK)) % BLOCK;
}

/** Bytes of a stream in the amounts that are asked for. */
class ByteReader {
  readonly #parts: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Buffer>) {
    this.#parts = stream[Symbol.asyncIterator]();
  }

  async take(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.body(length)) parts.push(part);
    return Buffer.concat(parts);
  }

  /** Can be begun again where it was left; the rest of it is what is not yet taken. */
  body(length: number): AsyncIterable<Buffer> {
    const state = { left: length };
    return { [Symbol.asyncIterator]: () => this.#pieces(state) };
  }

  async *#pieces(state: { left: number }): AsyncGenerator<Buffer> {
    while (state.left > 0) {
      const piece = await this.#next(state.left);
      state.left -= piece.length;
      yield piece;
    }
  }

  async #next(most: number): Promise<Buffer> {
    while (this.#rest.length === 0) {
      const next = await this.#parts.next();
      if (next.done === true) throw new TarError('Cannot read the archive: it ends early');
      this.#rest = next.value;
    }
    const piece = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(piece.length);
    return piece;
  }
}
