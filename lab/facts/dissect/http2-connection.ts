import { Http2Error } from '../../../dataplane/wire/errors.ts';
import { HpackDecoder } from '../../../dataplane/wire/hpack.ts';
import {
  FRAME_FLAG,
  FRAME_TYPE,
  HTTP2_CODE,
  contentRange,
  type FrameHeader,
} from '../../../dataplane/wire/http2.ts';
import { FrameReader } from '../../../dataplane/wire/http2-reader.ts';
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

class SideReader {
  readonly #side: 'client' | 'server';
  readonly #plain: PlainStream;
  readonly #streams: Http2Streams;
  readonly #frames: Http2Frame[] = [];
  readonly #decoder: HpackDecoder;
  /** Piece being pushed, and where in the TCP stream the frame that it began in starts. */
  #piece = 0;
  #frameStart = 0;
  #isFrameOpen = false;
  /** Header block that CONTINUATION frames will complete, and the frame it began with. */
  #block: Buffer[] | undefined;
  #blockFrame: Http2Frame | undefined;
  #blockBytes = 0;

  constructor(side: 'client' | 'server', plain: PlainStream, streams: Http2Streams) {
    this.#side = side;
    this.#plain = plain;
    this.#streams = streams;
    this.#decoder = new HpackDecoder(4096, MAX_HEADER_LIST_BYTES);
    // What sizes were agreed does not matter here: the encoder announces what it uses.
    this.#decoder.setMaxTableBytes(MAX_TABLE_BYTES);
  }

  read(onFault: OnFault): Http2Frame[] {
    const { pieces, starts, ends } = this.#plain;
    const reader = new FrameReader(
      (header, payload, offset) => this.#frame(header, payload, offset),
      {
        isClient: this.#side === 'client',
      },
    );
    for (this.#piece = 0; this.#piece < pieces.length; this.#piece++) {
      if (!this.#isFrameOpen) this.#frameStart = starts[this.#piece]!;
      try {
        reader.push(pieces[this.#piece]!);
      } catch (error) {
        const at = { start: this.#frameStart, end: ends[this.#piece]! };
        onFault(this.#side, 'http2', (error as Error).message, at);
        break;
      }
      this.#isFrameOpen = reader.heldBytes > 0;
      // A frame that completed in this piece was the last to start in an earlier one.
      const isHeldOfThisPiece = reader.heldBytes <= pieces[this.#piece]!.length;
      if (this.#isFrameOpen && isHeldOfThisPiece) this.#frameStart = starts[this.#piece]!;
    }
    return this.#frames;
  }

  #frame(header: Readonly<FrameHeader>, payload: Buffer, offset: number): void {
    const { type, flags, streamId, length } = header;
    const frame: { -readonly [K in keyof Http2Frame]: Http2Frame[K] } = {
      type,
      flags,
      streamId,
      length,
      offset,
      start: this.#frameStart,
      end: this.#plain.ends[this.#piece]!,
      headers: undefined,
    };
    this.#frameStart = this.#plain.starts[this.#piece]!;
    this.#frames.push(frame);
    if (type === FRAME_TYPE.headers || type === FRAME_TYPE.pushPromise) {
      const { start, end } = contentRange(type, flags, length, payload[0] ?? 0);
      this.#block = [];
      this.#blockBytes = 0;
      this.#blockFrame = frame;
      this.#addToBlock(payload.subarray(start, end), flags);
    } else if (type === FRAME_TYPE.continuation && this.#block) this.#addToBlock(payload, flags);
    if (type !== FRAME_TYPE.continuation) this.#streams.add(this.#side, frame, payload);
  }

  #addToBlock(fragment: Buffer, flags: number): void {
    this.#blockBytes += fragment.length;
    const isWhole = (flags & FRAME_FLAG.endHeaders) !== 0;
    if (this.#blockBytes > MAX_HEADER_BLOCK_BYTES)
      throw new Http2Error(HTTP2_CODE.enhanceYourCalm, 'Cannot read header block: too long');
    // Only a block of several fragments needs memory of its own.
    this.#block!.push(isWhole ? fragment : Buffer.from(fragment));
    if (!isWhole) return;
    const block = this.#block!.length === 1 ? this.#block![0]! : Buffer.concat(this.#block!);
    const frame = this.#blockFrame as { headers?: Http2Frame['headers'] };
    this.#block = undefined;
    frame.headers = this.#decoder.decode(block);
    this.#streams.addHeaders(this.#side, this.#blockFrame!);
  }
}
