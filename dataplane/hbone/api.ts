/**
 * The data path as the rest of ztunnel sees it: listening and outgoing TCP sockets driven by the
 * native engine, HBONE (HTTP/2 CONNECT over mutual TLS 1.3) as server and as pooled client, and the
 * relay between any two of them. The caller makes sockets (in the right netns, with mark,
 * transparency and bind) and decides policy; everything here moves bytes.
 */
import type { X509Certificate } from 'node:crypto';

/** An IP address in text (IPv4-mapped IPv6 is already plain IPv4) and a port. */
export interface SocketAddress {
  readonly ip: string;
  readonly port: number;
}

/** Header fields in wire order, names in lower case, pseudo-headers not included. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** SO_KEEPALIVE with its three times; `facts/ztunnel.md` §1.2: 180 s, 180 s, 9 probes. */
export interface KeepaliveOptions {
  readonly idleSeconds: number;
  readonly intervalSeconds: number;
  readonly probes: number;
  /** TCP_USER_TIMEOUT in milliseconds; left alone when absent. */
  readonly userTimeoutMs?: number;
}

/** What a reader is told. Bytes are valid only during the call: copy what must live longer. */
export interface ByteReader {
  onBytes(bytes: Buffer): void;
  /** The peer sent its last byte (FIN, END_STREAM, or a clean RST_STREAM). */
  onEnd(): void;
  /** The channel broke; nothing follows. */
  onError(error: Error): void;
}

/** One byte stream with two independent directions: a TCP connection or an HBONE stream. */
export interface ByteChannel {
  /** Queues a copy of `bytes`; sent at the end of the current turn of the engine. */
  write(bytes: Uint8Array): void;
  /** Sends FIN or END_STREAM once everything queued is out. */
  end(): void;
  /** Breaks both directions at once: RST (SO_LINGER 0), or RST_STREAM(CANCEL). */
  reset(): void;
  /** Starts delivery to `reader`; one reader a channel, and not together with a relay. */
  receive(reader: ByteReader): void;
  /** Bytes accepted for sending that have not reached the kernel (or wait for window). */
  readonly pendingBytes: number;
}

/** A connected TCP socket owned by the engine. Reading starts with `receive`, `relay` or `acceptHbone`. */
export interface TcpConnection extends ByteChannel {
  readonly fd: number;
  readonly local: SocketAddress;
  readonly peer: SocketAddress;
  /** SO_ORIGINAL_DST, IPv4 first, then IPv6; undefined when the kernel knows none (not redirected). */
  originalDestination(): SocketAddress | undefined;
  pause(): void;
  resume(): void;
  /** Closes the descriptor after what is pending has been handed to the kernel or the peer is gone. */
  close(): void;
}

/** A listening socket. Closing the listener leaves accepted connections alone. */
export interface Listener extends Disposable {
  readonly fd: number;
  /** No more accepts; the descriptor is closed. Idempotent. */
  close(): void;
}

export interface ListenOptions {
  /** Set on the listening socket, hence inherited by what it accepts. TCP_NODELAY is always set. */
  readonly keepalive?: KeepaliveOptions;
  /** accept4 failed, for example EMFILE; accepting goes on after 100 ms. */
  readonly onAcceptError?: (error: Error) => void;
}

export interface ConnectOptions {
  /** Default 10,000 (`facts/ztunnel.md` §1.2); surfaces as TcpConnectError with osCode ETIMEDOUT. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly keepalive?: KeepaliveOptions;
}

/** PEM texts. A new object means new credentials: TLS contexts are cached by object identity. */
export interface HboneCredentials {
  readonly key: string;
  /** Leaf first, then intermediates; no root. */
  readonly certificateChain: string;
  /** Roots to verify the peer with; may hold several. */
  readonly roots: string;
}

/** The peer's certificates after the chain verified against `HboneCredentials.roots`. */
export interface PeerChain {
  readonly leaf: X509Certificate;
  /** Leaf first. */
  readonly certificates: readonly X509Certificate[];
}

/**
 * Judges the peer's names (the chain is already verified) and returns its identity.
 * @throws any error: the connection is refused, the error becomes the `cause`
 */
export type VerifyPeer = (chain: PeerChain) => string;

/** `facts/ztunnel.md` §2.2. Every field has that table's value as default. */
export interface HboneSettings {
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  readonly maxFrameBytes: number;
  readonly maxHeaderListBytes: number;
  /** SETTINGS_MAX_CONCURRENT_STREAMS that we announce (server only). */
  readonly maxConcurrentStreams: number;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
}

/** Where a stream runs, for logs and leg records. */
export interface TunnelInfo {
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  readonly streamId: number;
}

export interface HboneServerStream extends ByteChannel {
  readonly streamId: number;
  readonly method: string;
  /** Empty when the request had none. */
  readonly authority: string;
  readonly headers: HeaderList;
  /** All values of a field joined as RFC 9110 §5.3 says, or undefined. */
  header(name: string): string | undefined;
  readonly connection: HboneServerConnection;
  readonly tunnel: TunnelInfo;
  /**
   * Sends the response head once. With `endStream` nothing follows, and a request that is still open
   * is ended with RST_STREAM(NO_ERROR), as the genuine ztunnel does.
   */
  respond(status: number, headers?: HeaderList, endStream?: boolean): void;
  /** RST_STREAM with an HTTP/2 error code; default CANCEL (8). */
  resetStream(errorCode?: number): void;
}

export interface AcceptHboneOptions {
  /** Called for each connection, so that a rotated certificate is used at once. */
  readonly credentials: () => HboneCredentials | Promise<HboneCredentials>;
  readonly verifyPeer: VerifyPeer;
  readonly onStream: (stream: HboneServerStream) => void;
  readonly settings?: Partial<HboneSettings>;
  /** Aborts the handshake, and later closes the connection abruptly. */
  readonly signal?: AbortSignal;
}

/** A mutually authenticated HBONE connection on which streams arrive. */
export interface HboneServerConnection extends Disposable {
  readonly peerIdentity: string;
  readonly peerChain: PeerChain;
  readonly local: SocketAddress;
  readonly peer: SocketAddress;
  readonly activeStreams: number;
  /** Settles when the connection is gone: with the error that ended it, or undefined. */
  readonly closed: Promise<Error | undefined>;
  /** Graceful: GOAWAY; open streams run to their end, then the socket closes. */
  goaway(): void;
  /** Abrupt: GOAWAY(NO_ERROR), then every stream breaks and the socket closes. */
  close(): void;
  /** As if the process had ended: every stream breaks and the socket closes, without a word. */
  sever(): void;
}

/** `facts/ztunnel.md` §2.7. */
export interface HbonePoolKey {
  readonly sourceIdentity: string;
  /** Identities that the peer may have, in order; empty always fails in the genuine verifier. */
  readonly destinationIdentities: readonly string[];
  /** Tunnel endpoint, for example podIP:15008. */
  readonly destination: SocketAddress;
  readonly sourceIp: string;
}

export interface HbonePoolOptions {
  /** Makes the TCP leg: opens the socket in the pod's netns and gives it to `DataPath.connect`. */
  readonly connectTcp: (key: HbonePoolKey, signal: AbortSignal) => Promise<TcpConnection>;
  readonly credentials: (key: HbonePoolKey) => HboneCredentials | Promise<HboneCredentials>;
  readonly verifyPeer: (chain: PeerChain, key: HbonePoolKey) => string;
  readonly settings?: Partial<HboneSettings>;
  /** POOL_MAX_STREAMS_PER_CONNECTION, default 100. */
  readonly maxStreamsPerConnection?: number;
  /** POOL_UNUSED_RELEASE_TIMEOUT, default 300,000 ms. */
  readonly idleReleaseMs?: number;
  /** Bounds TLS and the wait for the peer's SETTINGS after TCP is up; default 10,000 ms. */
  readonly handshakeTimeoutMs?: number;
}

export interface ConnectRequest {
  readonly authority: string;
  /** `baggage`, `forwarded`, `traceparent` in that order; sent as given. */
  readonly headers: HeaderList;
  readonly signal?: AbortSignal;
}

/** The client's end of a tunnel, open after the 200. */
export interface HboneStream extends ByteChannel {
  readonly streamId: number;
  readonly tunnel: TunnelInfo;
  readonly peerIdentity: string;
  readonly peerChain: PeerChain;
  readonly responseHeaders: HeaderList;
  header(name: string): string | undefined;
  resetStream(errorCode?: number): void;
}

/** All HBONE connections of one workload as client. Disposing it kills them at once. */
export interface HbonePool extends Disposable {
  /**
   * Resolves after the peer answered 200.
   * @throws TcpConnectError, TlsHandshakeError, PeerIdentityError, HttpStatusError (`http status: 503`),
   * Http2Error, HboneClosedError (see errors.ts)
   */
  connect(key: HbonePoolKey, request: ConnectRequest): Promise<HboneStream>;
  /** Connections that are up or being made, pooled or still carrying streams. */
  readonly connectionCount: number;
  /** Connections that are up finish their streams and close; the next request makes a new one. */
  renew(): void;
  /** Graceful: nothing new; each connection closes when its last stream ends. */
  drain(): void;
}

export interface RelayOptions {
  /** Aborting resets both sides (RST_STREAM(CANCEL), TCP closed); the result carries the reason. */
  readonly signal?: AbortSignal;
}

/** Byte counts are payload delivered to the other side's queue. */
export interface RelayResult {
  readonly bytesAToB: number;
  readonly bytesBToA: number;
  /** Absent for every normal end, resets by either side included (`facts/ztunnel.md` §2.5). */
  readonly error?: Error;
}

/** A relay that runs: counters are live, for logs and metrics of long connections. */
export interface Relay {
  readonly bytesAToB: number;
  readonly bytesBToA: number;
  readonly done: Promise<RelayResult>;
}

export interface DataPathOptions {
  /** NSS key log lines (SSLKEYLOGFILE format, no newline) of every TLS connection. */
  readonly keylog?: (line: string) => void;
  /** An error thrown by a callback of the caller during a turn; default: rethrown on the next tick. */
  readonly onCallbackError?: (error: unknown) => void;
  /** Records sealed under one key before we send KeyUpdate; default 2^23 (RFC 8446 §5.5: 2^24.5). */
  readonly recordLimit?: number;
}

export interface DataPath extends Disposable {
  /** Takes over a bound, listening, non-blocking socket. */
  listen(
    fd: number,
    onConnection: (connection: TcpConnection) => void,
    options?: ListenOptions,
  ): Listener;
  /**
   * Takes over an unconnected socket and connects it. TCP_NODELAY is set.
   * @throws TcpConnectError with the OS code (ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT, …); the
   * descriptor is closed then
   */
  connect(fd: number, address: SocketAddress, options?: ConnectOptions): Promise<TcpConnection>;
  /**
   * TLS handshake as server, then HTTP/2. The connection is owned from here on.
   * @throws TlsHandshakeError, PeerIdentityError; the connection is closed then
   */
  acceptHbone(
    connection: TcpConnection,
    options: AcceptHboneOptions,
  ): Promise<HboneServerConnection>;
  createPool(options: HbonePoolOptions): HbonePool;
  /**
   * Copies both ways until both directions ended, with the half-close and reset mapping of
   * `facts/ztunnel.md` §2.5, then releases both channels. Never rejects.
   */
  relay(a: ByteChannel, b: ByteChannel, options?: RelayOptions): Promise<RelayResult>;
  /** The same, with live counters. */
  startRelay(a: ByteChannel, b: ByteChannel, options?: RelayOptions): Relay;
  /** Descriptors owned now. */
  readonly openDescriptors: number;
}
