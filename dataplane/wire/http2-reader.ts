import { Http2Error } from './errors.ts';
import {
  CLIENT_PREFACE,
  FRAME_HEADER_BYTES,
  HTTP2_CODE,
  readFrameHeader,
  type FrameHeader,
} from './http2.ts';

/** Called with a frame's header (reused, so copy what you keep) and payload (valid in the call). */
export type OnFrame = (header: Readonly<FrameHeader>, payload: Buffer, offset: number) => void;

export interface FrameReaderOptions {
  /** Expect the client's connection preface first. */
  readonly isClient?: boolean;
  /** Longest payload taken; RFC 9113 lets a peer ask for up to 16777215. */
  readonly maxFrameBytes?: number;
}

/**
 * Cuts a byte stream into HTTP/2 frames. Whole frames in one chunk are not copied; at most one
 * frame is held. `offset` counts bytes of the stream up to the frame's header.
 */
export class FrameReader {
  readonly #onFrame: OnFrame;
  readonly #maxFrameBytes: number;
  readonly #header: FrameHeader = { length: 0, type: 0, flags: 0, streamId: 0 };
  #prefaceLeft: number;
  #held: Buffer | undefined;
  #heldBytes = 0;
  #offset = 0;

  constructor(onFrame: OnFrame, options: FrameReaderOptions = {}) {
    this.#onFrame = onFrame;
    this.#prefaceLeft = options.isClient ? CLIENT_PREFACE.length : 0;
    this.#maxFrameBytes = options.maxFrameBytes ?? 16_777_215;
  }

  /** Bytes of the stream that have become frames (or preface). */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes that wait for the rest of their frame. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Takes the next bytes of the stream.
   * @throws Http2Error on a wrong preface or a frame over the limit
   */
  push(chunk: Buffer): void {
    let at = this.#takePreface(chunk);
    if (this.#held) at = this.#fillHeld(chunk, at);
    while (chunk.length - at >= FRAME_HEADER_BYTES) {
      const { length } = readFrameHeader(chunk, at, this.#header);
      this.#checkLength(length);
      const end = at + FRAME_HEADER_BYTES + length;
      if (end > chunk.length) break;
      this.#emit(chunk.subarray(at + FRAME_HEADER_BYTES, end), length);
      at = end;
    }
    if (at < chunk.length) this.#hold(chunk, at);
  }

  #takePreface(chunk: Buffer): number {
    const bytes = Math.min(this.#prefaceLeft, chunk.length);
    if (bytes === 0) return 0;
    const from = CLIENT_PREFACE.length - this.#prefaceLeft;
    if (CLIENT_PREFACE.compare(chunk, 0, bytes, from, from + bytes) !== 0) {
      throw new Http2Error(HTTP2_CODE.protocolError, 'Cannot read HTTP/2: no client preface');
    }
    this.#prefaceLeft -= bytes;
    this.#offset += bytes;
    return bytes;
  }

  /** Completes the held frame from `chunk`; returns the offset of what is left. */
  #fillHeld(chunk: Buffer, at: number): number {
    at = this.#fillTo(FRAME_HEADER_BYTES, chunk, at);
    if (this.#heldBytes < FRAME_HEADER_BYTES) return at;
    const { length } = readFrameHeader(this.#held!, 0, this.#header);
    this.#checkLength(length);
    const total = FRAME_HEADER_BYTES + length;
    at = this.#fillTo(total, chunk, at);
    if (this.#heldBytes < total) return at;
    const payload = this.#held!.subarray(FRAME_HEADER_BYTES, total);
    this.#held = undefined;
    this.#heldBytes = 0;
    this.#emit(payload, length);
    return at;
  }

  #fillTo(total: number, chunk: Buffer, at: number): number {
    const bytes = Math.min(total - this.#heldBytes, chunk.length - at);
    if (bytes <= 0) return at;
    this.#reserve(this.#heldBytes + bytes, total);
    chunk.copy(this.#held!, this.#heldBytes, at, at + bytes);
    this.#heldBytes += bytes;
    return at + bytes;
  }

  #hold(chunk: Buffer, at: number): void {
    const bytes = chunk.length - at;
    this.#reserve(this.#heldBytes + bytes, FRAME_HEADER_BYTES);
    chunk.copy(this.#held!, this.#heldBytes, at);
    this.#heldBytes += bytes;
  }

  /** Grows by doubling with the bytes that came, not with the length that the peer claims. */
  #reserve(needed: number, total: number): void {
    if (this.#held && this.#held.length >= needed) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(total, needed * 2), 64));
    this.#held?.copy(grown, 0, 0, this.#heldBytes);
    this.#held = grown;
  }

  #checkLength(length: number): void {
    if (length > this.#maxFrameBytes) {
      throw new Http2Error(
        HTTP2_CODE.frameSizeError,
        `Cannot read frame of ${length} bytes, at most ${this.#maxFrameBytes}`,
      );
    }
  }

  #emit(payload: Buffer, length: number): void {
    const { offset } = this;
    this.#offset += FRAME_HEADER_BYTES + length;
    this.#onFrame(this.#header, payload, offset);
  }
}
