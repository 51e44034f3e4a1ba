import { LARGEST_READ_BYTES } from '../kernel/engine.ts';
import { HTTP2_CODE } from '../wire/http2.ts';
import type { ByteReader, TunnelInfo } from './api.ts';
import { IGNORING_WATCHER, readerOf } from './byte-reader.ts';
import type { Duct, DuctReader, DuctWatcher } from './duct.ts';
import { ChannelError, Http2Error } from './errors.ts';
import type { Http2Session } from './http2-session.ts';
import type { Splice } from './splice.ts';

/** One HTTP/2 stream as a byte channel, with its half of the flow control. */
export class Http2Stream implements Duct {
  readonly session: Http2Session;
  readonly streamId: number;
  /** What we may still send, and what the peer may. */
  sendWindow: number;
  receiveWindow: number;
  /** Content taken and not yet given back to the peer's window. */
  unacknowledged = 0;
  /** The engine's short way between this stream and a socket, while a relay has joined them. */
  splice: Splice | undefined;
  isLocalClosed = false;
  isRemoteClosed = false;
  #reader: DuctReader | undefined;
  #watcher: DuctWatcher = IGNORING_WATCHER;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #isEndDue = false;
  #isReleaseDue = false;
  #isBlocked = false;
  #isPaused = false;
  #early: Buffer[] = [];
  #withheldBytes = 0;
  #failure: Error | undefined;
  #isEndTold = false;

  constructor(session: Http2Session, streamId: number) {
    this.session = session;
    this.streamId = streamId;
    this.sendWindow = session.initialSendWindow;
    this.receiveWindow = session.settings.streamWindowBytes;
  }

  get tunnel(): TunnelInfo {
    const { local, peer } = this.session;
    return { local, remote: peer, streamId: this.streamId };
  }

  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  get pendingBytes(): number {
    return this.#queuedBytes;
  }

  get isClosed(): boolean {
    return this.isLocalClosed && this.isRemoteClosed;
  }

  /** Bytes that may still be sent before a window has to be looked after; 0 while others go first. */
  get spareToSend(): number {
    const isFree = this.#queue.length === 0 && !this.#isBlocked && !this.#isEndDue;
    return isFree && !this.isLocalClosed && this.session.hasWideWindows ? this.sendWindow : 0;
  }

  /** Content that may still be taken before the peer has to be told; 0 while it is not to be read. */
  get spareToTake(): number {
    if (this.#reader === undefined || this.#isPaused || this.isRemoteClosed) return 0;
    if (this.#withheldBytes > 0) return 0;
    return this.session.settings.streamWindowBytes / 2 - this.unacknowledged;
  }

  /** The engine passes nothing of this stream or its connection until the turn ends. */
  touch(): void {
    this.splice?.reclaim();
    this.session.touch();
  }

  /** The engine has sent and taken these bytes of content. */
  onPassed(into: number, outOf: number): void {
    this.sendWindow -= into;
    this.receiveWindow -= outOf;
    this.unacknowledged += outOf;
  }

  write(bytes: Uint8Array): void {
    this.touch();
    if (this.isLocalClosed || this.#isEndDue || bytes.length === 0) return;
    const now = this.#allowance(bytes.length);
    if (now > 0) this.session.sendCopy(this, bytes.subarray(0, now));
    this.#afterSend(bytes, now);
  }

  sendSlab(offset: number, length: number): void {
    this.touch();
    if (this.isLocalClosed || this.#isEndDue) return;
    const now = this.#allowance(length);
    if (now > 0) this.session.sendSlab(this, offset, now);
    if (now === length && this.#hasRoom()) return;
    this.#afterSend(this.session.engine.slab.subarray(offset, offset + length), now);
  }

  end(): void {
    this.touch();
    if (this.isLocalClosed) return;
    if (this.#queue.length > 0) {
      this.#isEndDue = true;
      return;
    }
    this.isLocalClosed = true;
    this.session.sendEnd(this);
  }

  reset(): void {
    this.resetStream();
  }

  resetStream(errorCode: number = HTTP2_CODE.cancel): void {
    if (this.isClosed) return;
    this.touch();
    this.#close();
    this.session.sendReset(this, errorCode);
  }

  release(): void {
    if (this.#isEndDue) this.#isReleaseDue = true;
    else this.resetStream();
  }

  receive(reader: ByteReader): void {
    this.attach(readerOf(this.session.engine, reader), IGNORING_WATCHER);
  }

  attach(reader: DuctReader, watcher: DuctWatcher): void {
    this.touch();
    this.#reader = reader;
    this.#watcher = watcher;
    const early = this.#early;
    this.#early = [];
    for (const bytes of early) reader.onBytes(bytes);
    if (!this.#isPaused) this.#giveBack();
    if (this.#isBlocked) watcher.onBlocked();
    this.#tellEnd();
  }

  pauseReading(): void {
    this.touch();
    this.#isPaused = true;
  }

  resumeReading(): void {
    this.touch();
    this.#isPaused = false;
    if (this.#reader !== undefined) this.#giveBack();
  }

  /** Content of a DATA frame, in the slab. */
  onContent(offset: number, length: number): void {
    const reader = this.#reader;
    if (reader === undefined) {
      const { slab } = this.session.engine;
      this.#early.push(Buffer.from(slab.subarray(offset, offset + length)));
      this.#withheldBytes += length;
      return;
    }
    reader.onSlab(offset, length);
    if (this.#isPaused) this.#withheldBytes += length;
    else this.session.giveBack(this, length);
  }

  /** The peer's END_STREAM. */
  onRemoteEnd(): void {
    this.touch();
    this.isRemoteClosed = true;
    this.#tellEnd();
    if (this.isLocalClosed) this.session.forget(this);
  }

  /** The peer's RST_STREAM (`facts/ztunnel.md` §2.5). */
  onRemoteReset(code: number): void {
    this.touch();
    const isClean = code === HTTP2_CODE.noError || code === HTTP2_CODE.cancel;
    if (code === HTTP2_CODE.streamClosed) this.#failure ??= new ChannelError('EPIPE');
    else if (!isClean)
      this.#failure ??= new Http2Error(`stream reset, code ${code}`, code, 'stream');
    this.#break(new ChannelError('EPIPE'));
  }

  /** The connection under the stream is gone. */
  onConnectionLost(error: Error): void {
    this.touch();
    this.#failure ??= error;
    this.#break(error);
  }

  /** The peer's window grew, or the connection drained. */
  pump(): void {
    this.touch();
    while (this.#queue.length > 0 && !this.session.isBlocked) {
      const first = this.#queue[0]!;
      const now = Math.min(first.length, this.sendWindow, this.session.window.send);
      if (now <= 0) return;
      this.session.sendCopy(this, first.subarray(0, now));
      this.#queuedBytes -= now;
      if (now === first.length) this.#queue.shift();
      else this.#queue[0] = first.subarray(now);
    }
    if (this.#queue.length > 0 || !this.#hasRoom()) return;
    this.session.waiting.delete(this);
    if (this.#isBlocked) {
      this.#isBlocked = false;
      this.#watcher.onUnblocked();
    }
    this.#finishEnd();
  }

  #finishEnd(): void {
    if (!this.#isEndDue) return;
    this.#isEndDue = false;
    this.end();
    if (this.#isReleaseDue) this.resetStream();
  }

  /**
   * True while a whole read of the source fits the windows, so that nothing has to be kept. A peer
   * with small windows never has room for that: it is served from what is kept.
   */
  #hasRoom(): boolean {
    const { session } = this;
    if (session.isBlocked) return false;
    if (!session.hasWideWindows) return true;
    return this.sendWindow >= LARGEST_READ_BYTES && session.window.send >= 2 * LARGEST_READ_BYTES;
  }

  #allowance(length: number): number {
    if (this.#queue.length > 0) return 0;
    return Math.max(0, Math.min(length, this.sendWindow, this.session.window.send));
  }

  #afterSend(bytes: Uint8Array, sent: number): void {
    if (sent < bytes.length) {
      this.#queue.push(Buffer.from(bytes.subarray(sent)));
      this.#queuedBytes += bytes.length - sent;
    } else if (this.#hasRoom()) {
      return;
    }
    this.session.waiting.add(this);
    if (this.#isBlocked) return;
    this.#isBlocked = true;
    this.#watcher.onBlocked();
  }

  #giveBack(): void {
    const bytes = this.#withheldBytes;
    this.#withheldBytes = 0;
    if (bytes > 0) this.session.giveBack(this, bytes);
  }

  #tellEnd(): void {
    if (this.#reader === undefined || this.#isEndTold || !this.isRemoteClosed) return;
    this.#isEndTold = true;
    if (this.#failure === undefined) this.#reader.onEnd();
    else this.#reader.onError(this.#failure);
  }

  #break(writeError: Error): void {
    const hadToSend = !this.isLocalClosed;
    const watcher = this.#watcher;
    this.#close();
    this.session.forget(this);
    if (hadToSend) watcher.onBroken(writeError);
    this.#tellEnd();
  }

  #close(): void {
    this.isLocalClosed = true;
    this.isRemoteClosed = true;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#isEndDue = false;
    this.session.waiting.delete(this);
    this.session.giveBackConnection(this.#withheldBytes);
    this.#withheldBytes = 0;
  }
}
