import { Http2Error } from '../../../dataplane/wire/errors.ts';
import { HpackDecoder } from '../../../dataplane/wire/hpack.ts';
import {
  CLIENT_PREFACE,
  FRAME_FLAG,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  HTTP2_CODE,
  contentRange,
  readFrameHeader,
  type FrameHeader,
} from '../../../dataplane/wire/http2.ts';
import type { PlainStream } from './byte-stream.ts';
import { Http2Streams } from './http2-streams.ts';
import type { OnFault } from './tls-session.ts';
import type { Http2Connection, Http2Frame } from './types.ts';

/** Tables larger than this are nobody's setting; a bound on what a capture makes us hold. */
const MAX_TABLE_BYTES = 1024 * 1024;
const MAX_HEADER_LIST_BYTES = 1024 * 1024;
const MAX_HEADER_BLOCK_BYTES = 1024 * 1024;

/** Reads both sides of an HTTP/2 connection. Never throws: a broken side is read up to its fault. */
export function readHttp2(
  client: PlainStream,
  server: PlainStream,
  onFault: OnFault,
): Http2Connection {
  const streams = new Http2Streams();
  const clientFrames = new SideReader('client', client, streams).read(onFault);
  const serverFrames = new SideReader('server', server, streams).read(onFault);
  return { client: clientFrames, server: serverFrames, streams: streams.finish() };
}

type OpenFrame = { -readonly [K in keyof Http2Frame]: Http2Frame[K] };

class SideReader {
  readonly #side: 'client' | 'server';
  readonly #plain: PlainStream;
  readonly #bytes: Buffer;
  readonly #streams: Http2Streams;
  readonly #frames: Http2Frame[] = [];
  readonly #decoder: HpackDecoder;
  /** Pieces that hold the first and the last byte of the frame being read. */
  #firstPiece = 0;
  #lastPiece = 0;
  /** Header block that CONTINUATION frames will complete, and the frame it began with. */
  #block: Buffer[] = [];
  #blockFrame: OpenFrame | undefined;
  #blockBytes = 0;

  constructor(side: 'client' | 'server', plain: PlainStream, streams: Http2Streams) {
    this.#side = side;
    this.#plain = plain;
    this.#bytes = plain.bytes;
    this.#streams = streams;
    this.#decoder = new HpackDecoder(4096, MAX_HEADER_LIST_BYTES);
    // What sizes were agreed does not matter here: the encoder announces what it uses.
    this.#decoder.setMaxTableBytes(MAX_TABLE_BYTES);
  }

  read(onFault: OnFault): Http2Frame[] {
    const bytes = this.#bytes;
    const header: FrameHeader = { length: 0, type: 0, flags: 0, streamId: 0 };
    let at = 0;
    try {
      if (this.#side === 'client') at = this.#preface();
      while (at + FRAME_HEADER_BYTES <= bytes.length) {
        const end = at + FRAME_HEADER_BYTES + readFrameHeader(bytes, at, header).length;
        if (end > bytes.length) break;
        this.#frame(header, at, end);
        at = end;
      }
    } catch (error) {
      const { starts, ends } = this.#plain;
      const start = starts[this.#firstPiece] ?? 0;
      const end = ends[this.#lastPiece] ?? start + 1;
      onFault(this.#side, 'http2', (error as Error).message, { start, end });
    }
    return this.#frames;
  }

  /** Bytes of the preface, as far as they are there. */
  #preface(): number {
    const bytes = Math.min(CLIENT_PREFACE.length, this.#bytes.length);
    if (CLIENT_PREFACE.compare(this.#bytes, 0, bytes, 0, bytes) === 0) return bytes;
    throw new Http2Error(HTTP2_CODE.protocolError, 'Cannot read HTTP/2: no client preface');
  }

  #frame(header: FrameHeader, offset: number, end: number): void {
    const { offsets, starts, ends } = this.#plain;
    while (offsets[this.#firstPiece + 1]! <= offset) this.#firstPiece++;
    while (offsets[this.#lastPiece + 1]! < end) this.#lastPiece++;
    const { type, flags, streamId, length } = header;
    const frame: OpenFrame = {
      type,
      flags,
      streamId,
      length,
      offset,
      start: starts[this.#firstPiece]!,
      end: ends[this.#lastPiece]!,
      headers: undefined,
    };
    this.#frames.push(frame);
    const payload = offset + FRAME_HEADER_BYTES;
    if (type === FRAME_TYPE.headers || type === FRAME_TYPE.pushPromise) {
      const range = contentRange(type, flags, length, this.#bytes[payload] ?? 0);
      this.#block = [];
      this.#blockBytes = 0;
      this.#blockFrame = frame;
      this.#addToBlock(payload + range.start, payload + range.end, flags);
    } else if (type === FRAME_TYPE.continuation && this.#blockFrame) {
      this.#addToBlock(payload, end, flags);
    }
    if (type !== FRAME_TYPE.continuation) {
      this.#streams.add(this.#side, frame, this.#bytes, payload);
    }
  }

  #addToBlock(start: number, end: number, flags: number): void {
    this.#blockBytes += end - start;
    if (this.#blockBytes > MAX_HEADER_BLOCK_BYTES) {
      throw new Http2Error(HTTP2_CODE.enhanceYourCalm, 'Cannot read header block: too long');
    }
    const fragment = this.#bytes.subarray(start, end);
    this.#block.push(fragment);
    if ((flags & FRAME_FLAG.endHeaders) === 0) return;
    const block = this.#block.length === 1 ? fragment : Buffer.concat(this.#block);
    const frame = this.#blockFrame!;
    this.#blockFrame = undefined;
    frame.headers = this.#decoder.decode(block);
    this.#streams.addHeaders(this.#side, frame);
  }
}
