import { HTTP2_CODE } from '../wire/http2.ts';
import type {
  AcceptHboneOptions,
  HboneServerConnection,
  HboneServerStream,
  HeaderList,
  PeerChain,
} from './api.ts';
import { Http2Error } from './errors.ts';
import { joinedHeader, splitFields } from './header-fields.ts';
import { Http2Session } from './http2-session.ts';
import { Http2Stream } from './http2-stream.ts';
import { SERVER_SETTINGS } from './settings.ts';
import type { TcpSocket } from './tcp-socket.ts';
import type { HandshakeResult } from './tls-handshake.ts';

const REQUEST_PSEUDO: ReadonlySet<string> = new Set([':method', ':authority', ':scheme', ':path']);
/** Streams reset before we answered: that many at once, then that many a second (CVE-2023-44487). */
const RESET_BURST = 1_000;
const RESETS_PER_SECOND = 100;

interface Request {
  readonly method: string;
  readonly authority: string;
  readonly headers: HeaderList;
}

/** A stream that a client opened. */
export class ServerStream extends Http2Stream implements HboneServerStream {
  readonly connection: ServerConnection;
  readonly method: string;
  readonly authority: string;
  readonly headers: HeaderList;
  #isAnswered = false;

  constructor(connection: ServerConnection, streamId: number, request: Request) {
    super(connection, streamId);
    this.connection = connection;
    this.method = request.method;
    this.authority = request.authority;
    this.headers = request.headers;
  }

  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  header(name: string): string | undefined {
    return joinedHeader(this.headers, name);
  }

  respond(status: number, headers: HeaderList = [], endStream = false): void {
    if (this.#isAnswered || this.isLocalClosed) return;
    this.#isAnswered = true;
    const fields: HeaderList = [[':status', String(status)], ...headers];
    this.session.sendHeaders(this.streamId, fields, endStream);
    if (!endStream) return;
    this.isLocalClosed = true;
    if (this.isRemoteClosed) this.session.forget(this);
    else this.resetStream(HTTP2_CODE.noError);
  }
}

/** The server's side of an HBONE connection. */
export class ServerConnection extends Http2Session implements HboneServerConnection {
  readonly peerIdentity: string;
  readonly peerChain: PeerChain;
  readonly #onStream: (stream: HboneServerStream) => void;
  #resetAllowance = RESET_BURST;
  #resetsCountedAtMs = performance.now();

  constructor(
    socket: TcpSocket,
    tls: HandshakeResult,
    options: AcceptHboneOptions,
    recordLimit: number | undefined,
  ) {
    const settings = { ...SERVER_SETTINGS, ...options.settings };
    super(socket, tls, { role: 'server', settings, recordLimit });
    this.peerIdentity = tls.peerIdentity;
    this.peerChain = tls.peerChain;
    this.#onStream = options.onStream;
    const { signal } = options;
    if (signal === undefined) return;
    const onAbort = (): void => this.close();
    signal.addEventListener('abort', onAbort, { once: true });
    void this.closed.then(() => signal.removeEventListener('abort', onAbort));
    if (signal.aborted) onAbort();
  }

  protected onHeaders(streamId: number, fields: HeaderList, isEndStream: boolean): void {
    const open = this.streams.get(streamId);
    if (open !== undefined) return this.#onTrailers(open, isEndStream);
    if (streamId % 2 === 0) return this.#refuseConnection(`HEADERS on even stream ${streamId}`);
    // Late frames of a stream that is gone.
    if (streamId <= this.lastPeerStreamId) return;
    this.lastPeerStreamId = streamId;
    const split = splitFields(fields, REQUEST_PSEUDO);
    const method = split?.pseudo.get(':method');
    if (split === undefined || method === undefined) {
      return this.sendResetId(streamId, HTTP2_CODE.protocolError);
    }
    const isFull = this.streams.size >= this.settings.maxConcurrentStreams;
    if (isFull || !this.#isTaking()) return this.sendResetId(streamId, HTTP2_CODE.refusedStream);
    const authority = split.pseudo.get(':authority') ?? '';
    const request = { method, authority, headers: split.headers };
    const stream = new ServerStream(this, streamId, request);
    this.streams.set(streamId, stream);
    if (isEndStream) stream.onRemoteEnd();
    this.#onStream(stream);
  }

  protected onReady(): void {}
  protected onForgotten(): void {}

  protected onGoaway(): void {}

  protected onReset(stream: Http2Stream): void {
    if (stream instanceof ServerStream && stream.isAnswered) return;
    const nowMs = performance.now();
    const refill = ((nowMs - this.#resetsCountedAtMs) / 1_000) * RESETS_PER_SECOND;
    this.#resetsCountedAtMs = nowMs;
    this.#resetAllowance = Math.min(RESET_BURST, this.#resetAllowance + refill) - 1;
    if (this.#resetAllowance >= 0) return;
    const code = HTTP2_CODE.enhanceYourCalm;
    this.closeWithFault(code, new Http2Error('too many streams reset', code, 'connection'));
  }

  /** While a graceful end waits for its PING, requests that were under way are still taken. */
  #isTaking(): boolean {
    return this.isOpen || this.isInGrace;
  }

  #onTrailers(stream: Http2Stream, isEndStream: boolean): void {
    if (isEndStream && !stream.isRemoteClosed) return stream.onRemoteEnd();
    const code = isEndStream ? HTTP2_CODE.streamClosed : HTTP2_CODE.protocolError;
    stream.resetStream(code);
    stream.onConnectionLost(new Http2Error('HEADERS inside a stream', code, 'stream'));
  }

  #refuseConnection(reason: string): void {
    const code = HTTP2_CODE.protocolError;
    this.closeWithFault(code, new Http2Error(reason, code, 'connection'));
  }
}
