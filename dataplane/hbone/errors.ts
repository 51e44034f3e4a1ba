/**
 * Faults of the data path. Messages follow the genuine ztunnel's (`facts/ztunnel.md` §6.5), because
 * they end up in its access log.
 */
import type { SocketAddress, TunnelInfo } from './api.ts';
import { formatAddress } from './address.ts';

/** The TCP connection could not be made. `osCode` is the kernel's: ECONNREFUSED, ETIMEDOUT, … */
export class TcpConnectError extends Error {
  override readonly name = 'TcpConnectError';
  readonly code = 'DATAPLANE_TCP_CONNECT';
  readonly address: SocketAddress;
  readonly osCode: string;

  constructor(address: SocketAddress, osCode: string, options?: ErrorOptions) {
    super(`Cannot connect to "${formatAddress(address)}": ${osCode}, wished an open port`, options);
    this.address = address;
    this.osCode = osCode;
  }
}

/** The TLS handshake failed: an alert, a bad chain, the peer hung up. */
export class TlsHandshakeError extends Error {
  override readonly name = 'TlsHandshakeError';
  readonly code = 'DATAPLANE_TLS_HANDSHAKE';

  constructor(reason: string, options?: ErrorOptions) {
    super(`tls handshake error: ${reason}`, options);
  }
}

/** The chain verified, but `verifyPeer` refused the names; its error is the `cause`. */
export class PeerIdentityError extends Error {
  override readonly name = 'PeerIdentityError';
  readonly code = 'DATAPLANE_PEER_IDENTITY';
}

/** The peer answered the CONNECT with something else than 200. */
export class HttpStatusError extends Error {
  override readonly name = 'HttpStatusError';
  readonly code = 'DATAPLANE_HTTP_STATUS';
  readonly status: number;
  /** The stream that was refused, for logs and leg records. */
  readonly tunnel: TunnelInfo | undefined;

  constructor(status: number, tunnel?: TunnelInfo) {
    super(`http status: ${status}`);
    this.status = status;
    this.tunnel = tunnel;
  }
}

/** HTTP/2 went wrong: a fault we found, or RST_STREAM or GOAWAY of the peer. */
export class Http2Error extends Error {
  override readonly name = 'Http2Error';
  readonly code = 'DATAPLANE_HTTP2';
  /** RFC 9113 §7. */
  readonly errorCode: number;
  readonly scope: 'stream' | 'connection';

  constructor(reason: string, errorCode: number, scope: 'stream' | 'connection') {
    super(`h2 failed: ${reason}`);
    this.errorCode = errorCode;
    this.scope = scope;
  }
}

/** The connection (or the pool) is gone or going: `reason` says why. */
export class HboneClosedError extends Error {
  override readonly name = 'HboneClosedError';
  readonly code = 'DATAPLANE_CONNECTION_CLOSED';
}

/** A read or write failed after the connection was up. */
export class ChannelError extends Error {
  override readonly name = 'ChannelError';
  readonly code = 'DATAPLANE_CHANNEL';
  readonly osCode: string;

  constructor(osCode: string) {
    super(`io error: ${osCode}`);
    this.osCode = osCode;
  }
}

/** TLS after the handshake: a fatal alert of the peer, or a record that we had to refuse. */
export class TlsRecordError extends Error {
  override readonly name = 'TlsRecordError';
  readonly code = 'DATAPLANE_TLS_RECORD';
  /** RFC 8446 §6 alert description. */
  readonly alert: number;
  readonly isFromPeer: boolean;

  constructor(alert: number, isFromPeer: boolean) {
    super(`tls error: alert ${alert} ${isFromPeer ? 'received' : 'sent'}`);
    this.alert = alert;
    this.isFromPeer = isFromPeer;
  }
}
