import { Http2Error } from '../wire/errors.ts';
import {
  FRAME_FLAG,
  FRAME_TYPE,
  HTTP2_CODE,
  contentRange,
  type FrameHeader,
} from '../wire/http2.ts';

/** Frames one header block may be cut into; more is an attack (CVE-2024-27316 and its kin). */
const MOST_FRAMES = 64;

export interface CompleteBlock {
  readonly streamId: number;
  readonly isEndStream: boolean;
  readonly block: Buffer;
}

/** Joins HEADERS and its CONTINUATION frames (RFC 9113 §6.2, §6.10), bounded in bytes and frames. */
export class HeaderBlock {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;
  #streamId = 0;
  #isEndStream = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** True between HEADERS and the frame with END_HEADERS. */
  get isOpen(): boolean {
    return this.#streamId !== 0;
  }

  /**
   * The whole block once END_HEADERS came; it may alias `payload`.
   * @throws Http2Error
   */
  take(header: Readonly<FrameHeader>, payload: Buffer): CompleteBlock | undefined {
    const { type, flags, streamId } = header;
    if (type === FRAME_TYPE.continuation && (streamId !== this.#streamId || streamId === 0)) {
      throw new Http2Error(HTTP2_CODE.protocolError, 'Cannot take CONTINUATION: no block to go on');
    }
    if (streamId === 0)
      throw new Http2Error(HTTP2_CODE.protocolError, 'Cannot take HEADERS: stream 0');
    let content = payload;
    if (type === FRAME_TYPE.headers) {
      this.#isEndStream = (flags & FRAME_FLAG.endStream) !== 0;
      const range = contentRange(type, flags, payload.length, payload[0] ?? 0);
      content = payload.subarray(range.start, range.end);
    }
    const isComplete = (flags & FRAME_FLAG.endHeaders) !== 0;
    if (isComplete && this.#parts.length === 0) return this.#complete(streamId, content);
    this.#streamId = streamId;
    this.#parts.push(Buffer.from(content));
    this.#bytes += content.length;
    if (this.#bytes > this.#maxBytes || this.#parts.length > MOST_FRAMES) {
      throw new Http2Error(
        HTTP2_CODE.enhanceYourCalm,
        `Cannot take header block: ${this.#bytes} bytes in ${this.#parts.length} frames`,
      );
    }
    return isComplete ? this.#complete(streamId, Buffer.concat(this.#parts)) : undefined;
  }

  #complete(streamId: number, block: Buffer): CompleteBlock {
    this.#parts = [];
    this.#bytes = 0;
    this.#streamId = 0;
    return { streamId, isEndStream: this.#isEndStream, block };
  }
}
