import { LARGEST_READ_BYTES, type Engine, type Flushable } from '../kernel/engine.ts';
import { Http2Error as WireFault } from '../wire/errors.ts';
import { HpackDecoder } from '../wire/hpack.ts';
import {
  FRAME_FLAG,
  FRAME_TYPE,
  HTTP2_CODE,
  SETTING,
  decodeSettings,
  type FrameHeader,
} from '../wire/http2.ts';
import type { HboneSettings, HeaderList, SocketAddress } from './api.ts';
import { ConnectionWindow } from './connection-window.ts';
import { ChannelError, Http2Error } from './errors.ts';
import { FrameParser, type FrameSink } from './frame-parser.ts';
import { FrameWriter } from './frame-writer.ts';
import { HeaderBlock } from './header-block.ts';
import { Http2Stream } from './http2-stream.ts';
import { Keepalive } from './keepalive.ts';
import { SealedConnection, type SealedOwner } from './sealed-connection.ts';
import { asHttp2Error, assertSize, connectionFault, flowControlFault } from './session-faults.ts';
import type { TcpSocket } from './tcp-socket.ts';
import type { HandshakeResult } from './tls-handshake.ts';

const DEFAULT_WINDOW_BYTES = 65_535;
const MOST_WINDOW_BYTES = 0x7fffffff;
const MOST_STREAM_ID = 0x7fffffff;
/** Frames that a peer may send to no use (empty DATA, answers it does not read) before we leave. */
const MOST_IDLE_FRAMES = 10_000;
/** What the genuine ztunnel (its HTTP/2 library) sends in a keepalive PING. */
const KEEPALIVE_PAYLOAD = Buffer.from('3b7cdb7a0b8716b4', 'hex');
const GRACE_PAYLOAD = Buffer.from('0b7ba2f08b9bfe54', 'hex');
/** How long the peer has to answer the PING of a graceful end. */
const GRACE_MS = 1_000;

export interface SessionOptions {
  readonly role: 'client' | 'server';
  readonly settings: HboneSettings;
  readonly recordLimit: number | undefined;
}

/** HTTP/2 over one sealed connection: frames, flow control, keepalive, ends. No HBONE meaning. */
export abstract class Http2Session implements SealedOwner, FrameSink, Flushable {
  readonly engine: Engine;
  readonly settings: HboneSettings;
  readonly local: SocketAddress;
  readonly peer: SocketAddress;
  readonly sealed: SealedConnection;
  /** Streams that wait for window or for the connection to drain, in order of waiting. */
  readonly waiting = new Set<Http2Stream>();
  /** Settles when the connection is gone. */
  readonly closed: Promise<Error | undefined>;
  readonly window: ConnectionWindow;
  initialSendWindow = DEFAULT_WINDOW_BYTES;
  /** Streams the peer lets us open; unlimited until it says. */
  peerMaxStreams = Infinity;
  protected readonly streams = new Map<number, Http2Stream>();
  protected lastPeerStreamId = 0;
  protected isGoing = false;
  protected isOver = false;
  readonly #role: 'client' | 'server';
  readonly #parser: FrameParser;
  readonly #decoder: HpackDecoder;
  readonly #writer: FrameWriter;
  readonly #block: HeaderBlock;
  readonly #keepalive: Keepalive;
  /** What the engine was told that the peer takes. */
  #splicedFrameBytes = 0;
  #isGranting = false;
  #hasPeerSettings = false;
  #idleFrames = 0;
  #passedBytes = 0;
  #dataStream: Http2Stream | undefined;
  #graceTimer: NodeJS.Timeout | undefined;
  #settleClosed!: (error: Error | undefined) => void;

  constructor(socket: TcpSocket, tls: HandshakeResult, options: SessionOptions) {
    const { settings } = options;
    this.engine = socket.engine;
    this.settings = settings;
    this.local = socket.local;
    this.peer = socket.peer;
    this.#role = options.role;
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    const isServer = options.role === 'server';
    this.#decoder = new HpackDecoder(4096, settings.maxHeaderListBytes);
    this.#block = new HeaderBlock(settings.maxHeaderListBytes);
    this.#parser = new FrameParser(
      this,
      isServer,
      settings.maxFrameBytes,
      settings.maxHeaderListBytes,
    );
    this.sealed = new SealedConnection(socket, tls, this, options.recordLimit);
    this.#writer = new FrameWriter(this.engine, this.sealed.outbox);
    this.window = new ConnectionWindow(this.engine, socket.slot, settings.connectionWindowBytes);
    this.#keepalive = new Keepalive(settings.pingIntervalMs, settings.pingTimeoutMs, {
      sendPing: () => this.#writer.frame(FRAME_TYPE.ping, 0, 0, KEEPALIVE_PAYLOAD),
      onTimeout: () => this.#onKeepaliveTimeout(),
    });
    this.#greet();
    this.sealed.start();
  }

  get activeStreams(): number {
    return this.streams.size;
  }

  get isBlocked(): boolean {
    return this.sealed.outbox.isBlocked;
  }

  /** True where a stream has room for several whole reads of its source. */
  get hasWideWindows(): boolean {
    return this.initialSendWindow >= 4 * LARGEST_READ_BYTES;
  }

  /** True while new streams may be opened. */
  get isOpen(): boolean {
    return !this.isOver && !this.isGoing;
  }

  /** True while a graceful end still waits for the peer to have seen its warning. */
  protected get isInGrace(): boolean {
    return this.#graceTimer !== undefined;
  }

  /** A complete header block: a request, a response or trailers. */
  protected abstract onHeaders(streamId: number, fields: HeaderList, isEndStream: boolean): void;
  /** The peer's first SETTINGS are in force. */
  protected abstract onReady(): void;
  /** The peer sent GOAWAY; streams above `lastStreamId` were not and will not be served. */
  protected abstract onGoaway(lastStreamId: number, code: number): void;
  /** A stream is finished and forgotten. */
  protected abstract onForgotten(stream: Http2Stream): void;
  /** The peer reset a stream. */
  protected abstract onReset(stream: Http2Stream, code: number): void;

  /** Joins a stream with a socket in the engine; false where that cannot be. */
  spliceInto(plainSlot: number, streamId: number): boolean {
    if (this.isOver) return false;
    this.#splicedFrameBytes ||= this.#writer.peerMaxFrameBytes;
    this.#grantLater();
    return this.engine.splice(plainSlot, this.sealed.slot, streamId, this.#splicedFrameBytes);
  }

  /** The engine passes nothing of this connection until the turn ends. */
  touch(): void {
    if (this.window.reclaim()) this.#grantLater();
  }

  passedBytes(): number {
    this.touch();
    return this.window.passedBytes;
  }

  /** What the engine may pass by itself until JavaScript looks again. */
  flush(): void {
    this.#isGranting = false;
    const isSending =
      this.#splicedFrameBytes <= this.#writer.peerMaxFrameBytes && this.hasWideWindows;
    const isReceiving = this.#hasPeerSettings && this.#parser.isAtFrame && !this.#block.isOpen;
    const isLive = !this.isOver && this.#splicedFrameBytes > 0;
    this.window.grant(isLive && isSending && !this.isBlocked, isLive && isReceiving);
  }

  sendHeaders(streamId: number, fields: HeaderList, isEndStream: boolean): void {
    this.#writer.headers(streamId, fields, isEndStream);
  }

  /** DATA from the slab, its header in the headroom; the caller has checked the windows. */
  sendSlab(stream: Http2Stream, offset: number, length: number): void {
    stream.sendWindow -= length;
    this.window.send -= length;
    this.#writer.dataOfSlab(stream.streamId, offset, length);
  }

  /** DATA from anywhere; the caller has checked the windows. */
  sendCopy(stream: Http2Stream, bytes: Uint8Array): void {
    stream.sendWindow -= bytes.length;
    this.window.send -= bytes.length;
    this.#writer.dataOf(stream.streamId, bytes);
  }

  sendEnd(stream: Http2Stream): void {
    this.#writer.end(stream.streamId);
    if (stream.isRemoteClosed) this.forget(stream);
  }

  sendReset(stream: Http2Stream, code: number): void {
    this.sendResetId(stream.streamId, code);
    this.forget(stream);
  }

  sendResetId(streamId: number, code: number): void {
    this.#writer.reset(streamId, code);
  }

  forget(stream: Http2Stream): void {
    if (!this.streams.delete(stream.streamId)) return;
    this.waiting.delete(stream);
    this.onForgotten(stream);
    this.closeIfIdle();
  }

  /** Content was taken: the peer may send that much again, told at half a window. */
  giveBack(stream: Http2Stream, bytes: number): void {
    this.giveBackConnection(bytes);
    if (stream.isRemoteClosed) return;
    stream.unacknowledged += bytes;
    if (stream.unacknowledged < this.settings.streamWindowBytes / 2) return;
    stream.receiveWindow += stream.unacknowledged;
    this.#writer.windowUpdate(stream.streamId, stream.unacknowledged);
    stream.unacknowledged = 0;
  }

  giveBackConnection(bytes: number): void {
    this.touch();
    const { window } = this;
    window.unacknowledged += bytes;
    if (this.isOver || !window.isDue) return;
    window.receive += window.unacknowledged;
    this.#writer.windowUpdate(0, window.unacknowledged);
    window.unacknowledged = 0;
  }

  /** Graceful: no new streams; closes when the last one ends. */
  goaway(): void {
    if (!this.isOpen) return;
    this.isGoing = true;
    if (this.#role === 'client') {
      this.#writer.goaway(this.lastPeerStreamId, HTTP2_CODE.noError);
      return this.closeIfIdle();
    }
    // Requests may be under way: name no last stream before the peer has seen the warning.
    this.#writer.goaway(MOST_STREAM_ID, HTTP2_CODE.noError);
    this.#writer.frame(FRAME_TYPE.ping, 0, 0, GRACE_PAYLOAD);
    this.#graceTimer = setTimeout(() => this.#endGrace(), GRACE_MS);
  }

  /** Abrupt: GOAWAY(NO_ERROR), every stream breaks, the connection closes. */
  close(): void {
    this.#closeWith(HTTP2_CODE.noError, undefined, new ChannelError('ECONNRESET'));
  }

  /** As if the process had ended: no GOAWAY, no close_notify; every stream breaks. */
  sever(): void {
    if (this.isOver) return;
    this.#finish(undefined, new ChannelError('ECONNRESET'));
    this.sealed.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  onPlain(offset: number, length: number): void {
    this.touch();
    if (this.#splicedFrameBytes > 0) this.#grantLater();
    try {
      this.#parser.feed(this.engine.slab, offset, length);
    } catch (error) {
      this.#onFault(error);
    }
  }

  onOver(error: Error | undefined): void {
    this.#finish(error, error ?? new ChannelError('EOF'));
  }

  onBlocked(): void {}

  onUnblocked(): void {
    this.#idleFrames = 0;
    this.#pumpWaiting();
  }

  onDataStart(streamId: number, frameBytes: number): void {
    this.#assertReady();
    if (this.#block.isOpen) throw connectionFault('DATA inside a header block');
    if (frameBytes === 0) this.#countIdle();
    this.window.receive -= frameBytes;
    if (this.window.receive < 0) {
      throw flowControlFault('Cannot take DATA: connection window exceeded');
    }
    const stream = this.streams.get(streamId);
    this.#dataStream = stream;
    if (stream === undefined) {
      if (this.isIdle(streamId)) throw connectionFault(`DATA on idle stream ${streamId}`);
      return;
    }
    stream.touch();
    stream.receiveWindow -= frameBytes;
    if (stream.isRemoteClosed || stream.receiveWindow < 0) {
      const isWindow = stream.receiveWindow < 0;
      this.#dataStream = undefined;
      stream.resetStream(isWindow ? HTTP2_CODE.flowControlError : HTTP2_CODE.streamClosed);
      stream.onConnectionLost(new Http2Error('DATA not allowed', 3, 'stream'));
    }
  }

  onDataBytes(_streamId: number, offset: number, length: number): void {
    this.#idleFrames = 0;
    const stream = this.#dataStream;
    if (stream === undefined || stream.isRemoteClosed) this.giveBackConnection(length);
    else stream.onContent(offset, length);
  }

  onDataDone(_streamId: number, isEndStream: boolean, overheadBytes: number): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    if (stream === undefined) return this.giveBackConnection(overheadBytes);
    if (overheadBytes > 0) this.giveBack(stream, overheadBytes);
    if (isEndStream && !stream.isRemoteClosed) stream.onRemoteEnd();
  }

  onFrame(header: Readonly<FrameHeader>, payload: Buffer): void {
    const { type, flags, streamId } = header;
    if (type !== FRAME_TYPE.settings) this.#assertReady();
    if (this.#block.isOpen && type !== FRAME_TYPE.continuation) {
      throw connectionFault(`frame of type ${type} inside a header block`);
    }
    switch (type) {
      case FRAME_TYPE.headers:
      case FRAME_TYPE.continuation:
        return this.#onHeaderFrame(header, payload);
      case FRAME_TYPE.priority:
        return this.#onPriority(streamId, payload);
      case FRAME_TYPE.rstStream:
        return this.#onRstStream(streamId, payload);
      case FRAME_TYPE.settings:
        return this.#onSettings(flags, streamId, payload);
      case FRAME_TYPE.ping:
        return this.#onPing(flags, streamId, payload);
      case FRAME_TYPE.goaway:
        return this.#onGoawayFrame(streamId, payload);
      case FRAME_TYPE.windowUpdate:
        return this.#onWindowUpdate(streamId, payload);
      default:
        throw connectionFault(`frame of type ${type}`);
    }
  }

  /** True for a stream that was never opened by either side. */
  protected isIdle(streamId: number): boolean {
    return streamId > this.lastPeerStreamId;
  }

  protected closeIfIdle(): void {
    if (!this.isGoing || this.isOver || this.streams.size > 0) return;
    if (this.#graceTimer !== undefined) return;
    this.#finish(undefined, new ChannelError('EOF'));
    this.sealed.close();
  }

  /** Ends the connection with GOAWAY(code). */
  protected closeWithFault(code: number, error: Error): void {
    this.#closeWith(code, error, error);
  }

  #greet(): void {
    const { settings } = this;
    this.#writer.greet(this.#role, settings);
    const more = settings.connectionWindowBytes - this.window.send;
    if (more > 0) this.#writer.windowUpdate(0, more);
  }

  #onHeaderFrame(header: Readonly<FrameHeader>, payload: Buffer): void {
    const done = this.#block.take(header, payload);
    if (done === undefined) return;
    this.#idleFrames = 0;
    const fields = this.#decoder.decode(done.block);
    this.onHeaders(done.streamId, fields, done.isEndStream);
  }

  #onPriority(streamId: number, payload: Buffer): void {
    if (streamId === 0) throw connectionFault('PRIORITY on stream 0');
    if (payload.length !== 5) this.sendResetId(streamId, HTTP2_CODE.frameSizeError);
    this.#countIdle();
  }

  #onRstStream(streamId: number, payload: Buffer): void {
    assertSize('RST_STREAM', payload, 4);
    if (streamId === 0 || this.isIdle(streamId)) throw connectionFault('RST_STREAM on idle stream');
    const stream = this.streams.get(streamId);
    if (stream === undefined) return this.#countIdle();
    const code = payload.readUInt32BE(0);
    this.onReset(stream, code);
    stream.onRemoteReset(code);
  }

  #onSettings(flags: number, streamId: number, payload: Buffer): void {
    if (streamId !== 0) throw connectionFault('SETTINGS on a stream');
    if (flags & FRAME_FLAG.ack) return assertSize('SETTINGS acknowledgement', payload, 0);
    this.#countIdle();
    for (const [id, value] of decodeSettings(payload)) this.#applySetting(id, value);
    this.#writer.frame(FRAME_TYPE.settings, FRAME_FLAG.ack, 0, payload.subarray(0, 0));
    if (this.#hasPeerSettings) return;
    this.#hasPeerSettings = true;
    this.#keepalive.start();
    this.onReady();
  }

  #applySetting(id: number, value: number): void {
    if (id === SETTING.headerTableSize) this.#writer.setMaxTableBytes(value);
    else if (id === SETTING.maxFrameSize) this.#writer.peerMaxFrameBytes = value;
    else if (id === SETTING.maxConcurrentStreams) this.peerMaxStreams = value;
    else if (id === SETTING.initialWindowSize) this.#changeInitialWindow(value);
  }

  #changeInitialWindow(bytes: number): void {
    const change = bytes - this.initialSendWindow;
    this.initialSendWindow = bytes;
    for (const stream of this.streams.values()) {
      stream.touch();
      stream.sendWindow += change;
      if (stream.sendWindow > MOST_WINDOW_BYTES) {
        throw flowControlFault('Cannot take SETTINGS: window over 2^31-1');
      }
    }
    if (change > 0) this.#pumpWaiting();
  }

  #onPing(flags: number, streamId: number, payload: Buffer): void {
    assertSize('PING', payload, 8);
    if (streamId !== 0) throw connectionFault('PING on a stream');
    if (flags & FRAME_FLAG.ack) {
      if (payload.equals(GRACE_PAYLOAD)) this.#endGrace();
      else this.#keepalive.onPong();
      return;
    }
    this.#countIdle();
    this.#writer.frame(FRAME_TYPE.ping, FRAME_FLAG.ack, 0, payload);
  }

  #onGoawayFrame(streamId: number, payload: Buffer): void {
    if (streamId !== 0) throw connectionFault('GOAWAY on a stream');
    if (payload.length < 8) {
      throw new WireFault(HTTP2_CODE.frameSizeError, `Cannot read GOAWAY: ${payload.length} bytes`);
    }
    this.isGoing = true;
    this.onGoaway(payload.readUInt32BE(0) & MOST_STREAM_ID, payload.readUInt32BE(4));
    this.closeIfIdle();
  }

  #onWindowUpdate(streamId: number, payload: Buffer): void {
    assertSize('WINDOW_UPDATE', payload, 4);
    const more = payload.readUInt32BE(0) & MOST_WINDOW_BYTES;
    if (streamId === 0) {
      if (more === 0) throw connectionFault('WINDOW_UPDATE by 0');
      this.window.send += more;
      if (this.window.send > MOST_WINDOW_BYTES) {
        throw flowControlFault('Cannot take WINDOW_UPDATE: over 2^31-1');
      }
      return this.#pumpWaiting();
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) throw connectionFault('WINDOW_UPDATE on idle stream');
      return this.#countIdle();
    }
    stream.touch();
    stream.sendWindow += more;
    if (more === 0 || stream.sendWindow > MOST_WINDOW_BYTES) {
      const code = more === 0 ? HTTP2_CODE.protocolError : HTTP2_CODE.flowControlError;
      this.sendResetId(streamId, code);
      return stream.onConnectionLost(new Http2Error('window fault', code, 'stream'));
    }
    if (this.waiting.has(stream)) stream.pump();
  }

  #grantLater(): void {
    if (this.#isGranting) return;
    this.#isGranting = true;
    this.engine.markDirty(this);
  }

  #pumpWaiting(): void {
    for (const stream of [...this.waiting]) stream.pump();
  }

  #assertReady(): void {
    if (!this.#hasPeerSettings) throw connectionFault('first frame is not SETTINGS');
  }

  /** A peer that makes us work or answer for nothing is left; real data pays the count back. */
  #countIdle(): void {
    const passedBytes = this.passedBytes();
    if (passedBytes > this.#passedBytes) this.#idleFrames = 0;
    this.#passedBytes = passedBytes;
    if (++this.#idleFrames <= MOST_IDLE_FRAMES) return;
    throw new WireFault(HTTP2_CODE.enhanceYourCalm, 'Cannot go on: too many idle frames');
  }

  #endGrace(): void {
    if (this.#graceTimer === undefined) return;
    clearTimeout(this.#graceTimer);
    this.#graceTimer = undefined;
    if (this.isOver) return;
    this.#writer.goaway(this.lastPeerStreamId, HTTP2_CODE.noError);
    this.closeIfIdle();
  }

  #onKeepaliveTimeout(): void {
    const error = new Http2Error('keepalive timeout', HTTP2_CODE.noError, 'connection');
    this.closeWithFault(HTTP2_CODE.noError, error);
  }

  #onFault(error: unknown): void {
    const fault = asHttp2Error(error);
    if (fault === undefined) {
      this.closeWithFault(
        HTTP2_CODE.internalError,
        new Http2Error('internal error', HTTP2_CODE.internalError, 'connection'),
      );
      throw error;
    }
    this.closeWithFault(fault.errorCode, fault);
  }

  #closeWith(code: number, error: Error | undefined, streamError: Error): void {
    if (this.isOver) return;
    this.#writer.goaway(this.lastPeerStreamId, code);
    this.#finish(error, streamError);
    this.sealed.close();
  }

  #finish(error: Error | undefined, streamError: Error): void {
    if (this.isOver) return;
    this.window.reclaim();
    this.isOver = true;
    this.#writer.isOver = true;
    this.isGoing = true;
    this.#keepalive.stop();
    clearTimeout(this.#graceTimer);
    this.#graceTimer = undefined;
    for (const stream of [...this.streams.values()]) stream.onConnectionLost(streamError);
    this.#settleClosed(error);
  }
}
