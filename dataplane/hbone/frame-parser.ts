import { Http2Error } from '../wire/errors.ts';
import {
  CLIENT_PREFACE,
  FRAME_FLAG,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  HTTP2_CODE,
  readFrameHeader,
  type FrameHeader,
} from '../wire/http2.ts';

/** Takes what the parser finds. Payloads and offsets are valid only during the call. */
export interface FrameSink {
  /** A DATA frame begins: its whole length counts against flow control. */
  onDataStart(streamId: number, frameBytes: number): void;
  /** Content of that frame, at an offset of the chunk given to `feed`. */
  onDataBytes(streamId: number, offset: number, length: number): void;
  /** The frame is complete; `overheadBytes` of it (padding and its length) were not content. */
  onDataDone(streamId: number, isEndStream: boolean, overheadBytes: number): void;
  /** Any other frame of a known type, whole. */
  onFrame(header: Readonly<FrameHeader>, payload: Buffer): void;
}

/** Longest frame other than DATA that is gathered; HEADERS are bounded by their own limit. */
const MOST_GATHERED_BYTES = 16 * 1024;

/**
 * Cuts a byte stream into HTTP/2 frames (RFC 9113 §4.1). DATA passes through in whatever pieces it
 * comes, without a copy; frames of unknown type are skipped. At most one other frame is held.
 */
export class FrameParser {
  readonly #sink: FrameSink;
  readonly #maxFrameBytes: number;
  readonly #maxHeaderBytes: number;
  readonly #header: FrameHeader = { length: 0, type: 0, flags: 0, streamId: 0 };
  readonly #partial = Buffer.alloc(FRAME_HEADER_BYTES);
  #partialBytes = 0;
  #prefaceAt: number;
  #isInFrame = false;
  #left = 0;
  /** Padding of the running DATA frame still to come. */
  #paddingBytes = 0;
  #contentBytes = 0;
  #isPadLengthDue = false;
  #held: Buffer | undefined;
  #heldBytes = 0;

  /**
   * @param maxFrameBytes our SETTINGS_MAX_FRAME_SIZE
   * @param maxHeaderBytes longest HEADERS or CONTINUATION frame worth gathering
   */
  constructor(sink: FrameSink, hasPreface: boolean, maxFrameBytes: number, maxHeaderBytes: number) {
    this.#sink = sink;
    this.#maxFrameBytes = maxFrameBytes;
    this.#maxHeaderBytes = maxHeaderBytes;
    this.#prefaceAt = hasPreface ? 0 : CLIENT_PREFACE.length;
  }

  /** True between two frames. */
  get isAtFrame(): boolean {
    const isInside = this.#isInFrame || this.#partialBytes > 0;
    return !isInside && this.#prefaceAt === CLIENT_PREFACE.length;
  }

  /**
   * Takes `length` bytes of `chunk` at `offset`.
   * @throws Http2Error of `wire/errors.ts`, of the parser or of the sink
   */
  feed(chunk: Buffer, offset: number, length: number): void {
    const end = offset + length;
    let at =
      this.#prefaceAt < CLIENT_PREFACE.length ? this.#takePreface(chunk, offset, end) : offset;
    while (at < end) {
      if (!this.#isInFrame) at = this.#takeHeader(chunk, at, end);
      else if (this.#header.type === FRAME_TYPE.data) at = this.#takeData(chunk, at, end);
      else at = this.#takeOther(chunk, at, end);
    }
  }

  #takePreface(chunk: Buffer, offset: number, end: number): number {
    let at = offset;
    for (; at < end && this.#prefaceAt < CLIENT_PREFACE.length; at++, this.#prefaceAt++) {
      if (chunk[at] !== CLIENT_PREFACE[this.#prefaceAt]) {
        throw new Http2Error(HTTP2_CODE.protocolError, 'Cannot read connection: no HTTP/2 preface');
      }
    }
    return at;
  }

  #takeHeader(chunk: Buffer, at: number, end: number): number {
    if (this.#partialBytes === 0 && end - at >= FRAME_HEADER_BYTES) {
      readFrameHeader(chunk, at, this.#header);
      this.#startFrame();
      return at + FRAME_HEADER_BYTES;
    }
    const take = Math.min(FRAME_HEADER_BYTES - this.#partialBytes, end - at);
    chunk.copy(this.#partial, this.#partialBytes, at, at + take);
    this.#partialBytes += take;
    if (this.#partialBytes === FRAME_HEADER_BYTES) {
      this.#partialBytes = 0;
      readFrameHeader(this.#partial, 0, this.#header);
      this.#startFrame();
    }
    return at + take;
  }

  #startFrame(): void {
    const { length, type, flags, streamId } = this.#header;
    if (length > this.#maxFrameBytes) {
      throw new Http2Error(
        HTTP2_CODE.frameSizeError,
        `Cannot read frame: ${length} bytes, at most ${this.#maxFrameBytes}`,
      );
    }
    this.#isInFrame = true;
    this.#left = length;
    if (type === FRAME_TYPE.data) {
      if (streamId === 0) {
        throw new Http2Error(HTTP2_CODE.protocolError, 'Cannot read DATA: stream 0');
      }
      this.#paddingBytes = 0;
      this.#contentBytes = 0;
      this.#isPadLengthDue = (flags & FRAME_FLAG.padded) !== 0;
      if (this.#isPadLengthDue && length === 0) throw badPadding();
      this.#sink.onDataStart(streamId, length);
      if (length === 0) this.#finishData();
      return;
    }
    this.#checkGathered(type, length);
    if (length === 0) this.#finishOther(Buffer.alloc(0));
  }

  #checkGathered(type: number, length: number): void {
    const isHeaders = type === FRAME_TYPE.headers || type === FRAME_TYPE.continuation;
    const most = isHeaders ? this.#maxHeaderBytes : MOST_GATHERED_BYTES;
    if (type <= FRAME_TYPE.continuation && length > most) {
      throw new Http2Error(
        HTTP2_CODE.enhanceYourCalm,
        `Cannot take frame of type ${type}: ${length} bytes, at most ${most}`,
      );
    }
  }

  #takeData(chunk: Buffer, from: number, end: number): number {
    let at = from;
    if (this.#isPadLengthDue) {
      this.#isPadLengthDue = false;
      const padding = chunk[at++]!;
      this.#left--;
      if (padding > this.#left) throw badPadding();
      this.#paddingBytes = padding;
    }
    const content = Math.min(this.#left - this.#paddingBytes, end - at);
    if (content > 0) {
      this.#sink.onDataBytes(this.#header.streamId, at, content);
      this.#left -= content;
      this.#contentBytes += content;
      at += content;
    }
    if (this.#left <= this.#paddingBytes) {
      const skipped = Math.min(this.#left, end - at);
      this.#left -= skipped;
      this.#paddingBytes -= skipped;
      at += skipped;
    }
    if (this.#left === 0) this.#finishData();
    return at;
  }

  #finishData(): void {
    const { length, flags, streamId } = this.#header;
    this.#isInFrame = false;
    const isEndStream = (flags & FRAME_FLAG.endStream) !== 0;
    this.#sink.onDataDone(streamId, isEndStream, length - this.#contentBytes);
  }

  #takeOther(chunk: Buffer, at: number, end: number): number {
    const { length, type } = this.#header;
    const take = Math.min(this.#left, end - at);
    this.#left -= take;
    if (type > FRAME_TYPE.continuation) {
      if (this.#left === 0) this.#isInFrame = false;
      return at + take;
    }
    if (take === length) {
      this.#finishOther(chunk.subarray(at, at + take));
      return at + take;
    }
    this.#held ??= Buffer.allocUnsafe(length);
    chunk.copy(this.#held, this.#heldBytes, at, at + take);
    this.#heldBytes += take;
    if (this.#left === 0) this.#finishOther(this.#held);
    return at + take;
  }

  #finishOther(payload: Buffer): void {
    this.#isInFrame = false;
    this.#held = undefined;
    this.#heldBytes = 0;
    if (this.#header.type <= FRAME_TYPE.continuation) this.#sink.onFrame(this.#header, payload);
  }
}

function badPadding(): Http2Error {
  return new Http2Error(HTTP2_CODE.protocolError, 'Cannot read DATA: padding exceeds the frame');
}
