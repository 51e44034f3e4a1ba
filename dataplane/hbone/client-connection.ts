import { HTTP2_CODE } from '../wire/http2.ts';
import type { ConnectRequest, HboneSettings, HboneStream, HeaderList, PeerChain } from './api.ts';
import { HboneClosedError, Http2Error, HttpStatusError } from './errors.ts';
import { joinedHeader, splitFields } from './header-fields.ts';
import { Http2Session } from './http2-session.ts';
import { Http2Stream } from './http2-stream.ts';
import type { TcpSocket } from './tcp-socket.ts';
import type { HandshakeResult } from './tls-handshake.ts';

const RESPONSE_PSEUDO: ReadonlySet<string> = new Set([':status']);
const MOST_STREAM_ID = 0x7fffffff;

/** A stream that we opened; public once the 200 is here. */
export class ClientStream extends Http2Stream implements HboneStream {
  readonly connection: ClientConnection;
  responseHeaders: HeaderList = [];
  /** Present until the response head, or the failure, is here. */
  answer: { resolve(): void; reject(error: Error): void } | undefined;

  constructor(connection: ClientConnection, streamId: number) {
    super(connection, streamId);
    this.connection = connection;
  }

  get peerIdentity(): string {
    return this.connection.peerIdentity;
  }

  get peerChain(): PeerChain {
    return this.connection.peerChain;
  }

  header(name: string): string | undefined {
    return joinedHeader(this.responseHeaders, name);
  }

  override onRemoteReset(code: number): void {
    this.#refuse(new Http2Error(`stream reset, code ${code}`, code, 'stream'));
    super.onRemoteReset(code);
  }

  override onConnectionLost(error: Error): void {
    this.#refuse(new HboneClosedError(`h2 failed: ${error.message}`, { cause: error }));
    super.onConnectionLost(error);
  }

  #refuse(error: Error): void {
    const { answer } = this;
    this.answer = undefined;
    answer?.reject(error);
  }
}

/** The client's side of an HBONE connection. */
export class ClientConnection extends Http2Session {
  readonly peerIdentity: string;
  readonly peerChain: PeerChain;
  /** Settles once the peer's SETTINGS are here, or rejects when the connection ends before. */
  readonly ready: Promise<void>;
  /** No new streams by our own wish; closes when the last one ends. */
  #isRetired = false;
  #nextStreamId = 1;
  #settleReady!: { resolve(): void; reject(error: Error): void };

  constructor(
    socket: TcpSocket,
    tls: HandshakeResult,
    settings: HboneSettings,
    recordLimit: number | undefined,
  ) {
    super(socket, tls, { role: 'client', settings, recordLimit });
    this.peerIdentity = tls.peerIdentity;
    this.peerChain = tls.peerChain;
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    this.ready.catch(() => undefined);
    void this.closed.then((error) => {
      const message = error?.message ?? 'connection closed';
      this.#settleReady.reject(new HboneClosedError(`http2 handshake failed: ${message}`));
    });
  }

  /** True while another stream may be opened. */
  get isUsable(): boolean {
    return this.isOpen && !this.#isRetired && this.#nextStreamId < MOST_STREAM_ID;
  }

  /** Sends the CONNECT; the stream once the peer answered 200. */
  connect(request: ConnectRequest): Promise<ClientStream> {
    const { signal } = request;
    if (!this.isUsable) return Promise.reject(new HboneClosedError('connection is going away'));
    if (signal?.aborted) return Promise.reject(new HboneClosedError('connect aborted'));
    const stream = new ClientStream(this, this.#nextStreamId);
    this.#nextStreamId += 2;
    this.streams.set(stream.streamId, stream);
    const { authority, headers } = request;
    const fields: HeaderList = [[':method', 'CONNECT'], [':authority', authority], ...headers];
    this.sendHeaders(stream.streamId, fields, false);
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        stream.answer = undefined;
        stream.resetStream();
        reject(new HboneClosedError('connect aborted'));
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      const settled = (): void => signal?.removeEventListener('abort', onAbort);
      stream.answer = {
        resolve: () => (settled(), resolve(stream)),
        reject: (error) => (settled(), reject(error)),
      };
    });
  }

  /** Takes no more streams; GOAWAY and close once the last one has ended. */
  retire(): void {
    this.#isRetired = true;
    if (this.streams.size === 0) this.goaway();
  }

  protected onHeaders(streamId: number, fields: HeaderList, isEndStream: boolean): void {
    const stream = this.streams.get(streamId) as ClientStream | undefined;
    if (stream === undefined) {
      if (!this.isIdle(streamId)) return;
      const code = HTTP2_CODE.protocolError;
      return this.closeWithFault(
        code,
        new Http2Error('HEADERS on idle stream', code, 'connection'),
      );
    }
    if (stream.answer === undefined) return this.#onTrailers(stream, isEndStream);
    const split = splitFields(fields, RESPONSE_PSEUDO);
    const status = Number(split?.pseudo.get(':status') ?? Number.NaN);
    if (split === undefined || !Number.isInteger(status) || status < 100 || status > 999) {
      stream.resetStream(HTTP2_CODE.protocolError);
      const code = HTTP2_CODE.protocolError;
      return stream.onConnectionLost(new Http2Error('malformed response', code, 'stream'));
    }
    if (status < 200) return;
    this.#answer(stream, status, split.headers, isEndStream);
  }

  protected onReady(): void {
    this.#settleReady.resolve();
  }

  protected onForgotten(): void {
    if (this.#isRetired && this.streams.size === 0) this.goaway();
  }

  protected onGoaway(lastStreamId: number, code: number): void {
    for (const stream of [...this.streams.values()]) {
      if (stream.streamId <= lastStreamId) continue;
      stream.onConnectionLost(new Http2Error(`GOAWAY, code ${code}`, code, 'stream'));
    }
  }

  protected onReset(): void {}

  protected override isIdle(streamId: number): boolean {
    return streamId % 2 === 0 || streamId >= this.#nextStreamId;
  }

  #answer(stream: ClientStream, status: number, headers: HeaderList, isEndStream: boolean): void {
    const answer = stream.answer!;
    stream.answer = undefined;
    stream.responseHeaders = headers;
    if (isEndStream) stream.onRemoteEnd();
    if (status === 200) return answer.resolve();
    stream.resetStream();
    answer.reject(new HttpStatusError(status, stream.tunnel));
  }

  #onTrailers(stream: ClientStream, isEndStream: boolean): void {
    if (isEndStream && !stream.isRemoteClosed) return stream.onRemoteEnd();
    const code = isEndStream ? HTTP2_CODE.streamClosed : HTTP2_CODE.protocolError;
    stream.resetStream(code);
    stream.onConnectionLost(new Http2Error('HEADERS inside a stream', code, 'stream'));
  }
}
