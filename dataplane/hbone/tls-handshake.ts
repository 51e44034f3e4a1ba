import { constants, type X509Certificate } from 'node:crypto';
import { Duplex } from 'node:stream';
import * as tls from 'node:tls';
import type { SlotHandler } from '../kernel/engine.ts';
import type { HboneCredentials, PeerChain } from './api.ts';
import { HboneClosedError, PeerIdentityError, TlsHandshakeError } from './errors.ts';
import {
  FinishedFinder,
  RECORD_TYPE,
  RecordCutter,
  suiteOfServerHello,
} from './handshake-tracker.ts';
import type { TcpSocket } from './tcp-socket.ts';
import { RecordOpener } from './tls-keys.ts';

/** Suites that the genuine ztunnel offers, in its order (`facts/ztunnel.md` §2.1). */
const CLIENT_CIPHERS = 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256';
/** A server takes the third as well: a foreign client may have no other. */
const SERVER_CIPHERS = `${CLIENT_CIPHERS}:TLS_CHACHA20_POLY1305_SHA256`;
/**
 * What a client offers on every Node: OpenSSL from 3.5 on would send a hybrid key share (X25519MLKEM768)
 * first, which the genuine ztunnel sends under a compliance policy only. A server takes that too.
 */
const CLIENT_GROUPS = 'X25519:P-256:P-384';

/**
 * Neither packed certificates sent nor taken (`SSL_OP_NO_TX_CERTIFICATE_COMPRESSION` and its twin,
 * OpenSSL's ssl.h): OpenSSL packs them from 3.2 on where it has zlib, the genuine ztunnel never.
 * Older ones know no such bits and ignore them.
 */
const NO_PACKED_CERTIFICATES = 2 ** 32 + 2 ** 33;

export interface HandshakeOptions {
  readonly role: 'client' | 'server';
  readonly secureContext: tls.SecureContext;
  readonly verifyPeer: (chain: PeerChain) => string;
  readonly keylog: ((line: string) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

/** What is known when the handshake is over and the engine can take the records. */
export interface HandshakeResult {
  readonly suite: number;
  readonly peerIdentity: string;
  readonly peerChain: PeerChain;
  readonly readSecret: Buffer;
  readonly writeSecret: Buffer;
  /** Records already sealed under `writeSecret` (session tickets of a server). */
  readonly writeSequence: number;
  /** Ciphertext under `readSecret` that has already arrived. */
  readonly unread: Buffer;
}

/** A context as HBONE wants it: TLS 1.3 only, our chain, the peer's roots. */
export function createHboneContext(
  credentials: HboneCredentials,
  role: 'client' | 'server',
): tls.SecureContext {
  return tls.createSecureContext({
    key: credentials.key,
    cert: credentials.certificateChain,
    ca: credentials.roots,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: role === 'client' ? CLIENT_CIPHERS : SERVER_CIPHERS,
    ...(role === 'client' && { ecdhCurve: CLIENT_GROUPS }),
    // Nobody resumes: a ticket is an id then, and does not carry the client's chain back and forth.
    secureOptions: NO_PACKED_CERTIFICATES + constants.SSL_OP_NO_TICKET,
  });
}

/**
 * Runs a mutual TLS 1.3 handshake on `socket` by node:tls, and stops it at the exact records where
 * the application keys begin, so that the engine can go on from there. On failure the alert is
 * sent and the socket closed.
 *
 * @throws TlsHandshakeError, PeerIdentityError, HboneClosedError
 */
export async function runHandshake(
  socket: TcpSocket,
  options: HandshakeOptions,
): Promise<HandshakeResult> {
  const running = new Handshake(socket, options);
  try {
    return await running.result;
  } catch (error) {
    if (running.hasPeerLeft) socket.close();
    else closeAfterAlert(socket);
    throw error;
  }
}

/** Lets the alert arrive: an immediate close with unread bytes would overtake it with a RST. */
function closeAfterAlert(socket: TcpSocket): void {
  const done = (): void => {
    clearTimeout(timer);
    socket.close();
  };
  const timer = setTimeout(done, 500);
  timer.unref();
  if (socket.isClosed) return clearTimeout(timer);
  socket.engine.handle(socket.slot, socket);
  socket.end();
  socket.resumeReading();
  socket.receive({ onBytes() {}, onEnd: done, onError: done });
}

/** The one application record node:tls is asked to send: it marks where the engine takes over. */
const SENTINEL = Buffer.from('hand-over');

class Handshake implements SlotHandler {
  readonly result: Promise<HandshakeResult>;
  /** The peer sent FIN: nothing more comes that an early close could cut off. */
  hasPeerLeft = false;
  readonly #socket: TcpSocket;
  readonly #options: HandshakeOptions;
  readonly #tls: tls.TLSSocket;
  readonly #shim: Duplex;
  readonly #incoming = new RecordCutter();
  readonly #outgoing = new RecordCutter();
  readonly #readFinder = new FinishedFinder();
  readonly #writeFinder = new FinishedFinder();
  readonly #secrets = new Map<string, Buffer>();
  #suite = 0;
  #writeOpener: RecordOpener | undefined;
  #verified: { readonly identity: string; readonly chain: PeerChain } | undefined;
  #isOver = false;
  #resolve!: (result: HandshakeResult) => void;
  #reject!: (error: Error) => void;
  readonly #onAbort = (): void => this.#fail(new HboneClosedError('handshake aborted'));

  constructor(socket: TcpSocket, options: HandshakeOptions) {
    this.#socket = socket;
    this.#options = options;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#shim = new Duplex({
      read() {},
      write: (chunk: Buffer, _encoding, done) => {
        this.#attempt(() => this.#onOutgoing(chunk));
        done();
      },
    });
    this.#shim.on('error', () => undefined);
    this.#tls = options.role === 'client' ? this.#connect() : this.#accept();
    this.#tls.on('keylog', (line: Buffer) => this.#onKeylog(line));
    this.#tls.on('error', (error: Error) => this.#fail(asHandshakeError(error)));
    this.#tls.on('close', () => this.#fail(new TlsHandshakeError('peer closed the connection')));
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (options.signal?.aborted) this.#onAbort();
    if (this.#isOver) return;
    socket.engine.handle(socket.slot, this);
    socket.engine.read(socket.slot, true);
  }

  #connect(): tls.TLSSocket {
    const { secureContext } = this.#options;
    const socket = tls.connect({
      socket: this.#shim,
      secureContext,
      ALPNProtocols: ['h2'],
      rejectUnauthorized: true,
      checkServerIdentity: () => undefined,
    });
    socket.on('secureConnect', () => this.#attempt(() => this.#onSecure()));
    return socket;
  }

  #accept(): tls.TLSSocket {
    const { secureContext } = this.#options;
    const socket = new tls.TLSSocket(this.#shim, {
      isServer: true,
      secureContext,
      ALPNProtocols: ['h2'],
      requestCert: true,
      rejectUnauthorized: true,
    });
    socket.on('secure', () => this.#attempt(() => this.#onSecure()));
    return socket;
  }

  onData(offset: number, length: number): void {
    const { slab } = this.#socket.engine;
    const copy = Buffer.from(slab.subarray(offset, offset + length));
    this.#attempt(() => {
      this.#incoming.push(copy);
      this.#pump();
    });
  }

  onEnd(): void {
    this.hasPeerLeft = true;
    this.#fail(new TlsHandshakeError('peer closed the connection'));
  }

  onFailed(): void {
    this.#fail(new TlsHandshakeError('connection reset by peer'));
  }

  onDrained(): void {
    this.#socket.outbox.onDrained();
  }

  onConnected(): void {}
  onAccept(): void {}
  onAcceptFailed(): void {}
  onRecord(): void {}
  onRecordFault(): void {}
  onKeyLimit(): void {}
  onSendFailed(): void {}

  /** Gives node:tls the peer's records up to its Finished, none beyond. */
  #pump(): void {
    while (!this.#readFinder.isFinished && !this.#isOver) {
      const record = this.#incoming.peek();
      if (record === undefined) return;
      if (record[0] === RECORD_TYPE.applicationData) {
        if (!this.#readFinder.hasKey) return;
        this.#readFinder.take(record);
      } else if (this.#options.role === 'client') {
        this.#suite = suiteOfServerHello(record) ?? this.#suite;
      }
      this.#incoming.take(record);
      this.#shim.push(record);
    }
  }

  #onOutgoing(chunk: Buffer): void {
    if (this.#isOver) {
      // An alert that node:tls sends after it gave up still has to reach the peer.
      if (this.#verified === undefined) this.#socket.write(chunk);
      return;
    }
    this.#outgoing.push(Buffer.from(chunk));
    for (let record; !this.#isOver && (record = this.#outgoing.peek()) !== undefined;) {
      this.#outgoing.take(record);
      if (this.#isSentinel(record)) return this.#finish();
      this.#socket.write(record);
    }
  }

  #isSentinel(record: Buffer): boolean {
    if (record[0] !== RECORD_TYPE.applicationData) {
      if (this.#options.role === 'server') this.#suite = suiteOfServerHello(record) ?? this.#suite;
      return false;
    }
    if (!this.#writeFinder.isFinished) {
      const sender = this.#options.role === 'client' ? 'CLIENT' : 'SERVER';
      const secret = this.#secrets.get(`${sender}_HANDSHAKE_TRAFFIC_SECRET`);
      if (secret === undefined) throw new TlsHandshakeError('no key log line for the handshake');
      if (!this.#writeFinder.hasKey) this.#writeFinder.setSecret(this.#suite, secret);
      this.#writeFinder.take(record);
      return false;
    }
    this.#writeOpener ??= new RecordOpener(this.#suite, this.#secret('write'));
    return this.#writeOpener.open(record).type === RECORD_TYPE.applicationData;
  }

  #onKeylog(line: Buffer): void {
    const text = line.toString('latin1').trim();
    this.#options.keylog?.(text);
    const [label, , secret] = text.split(' ');
    if (label === undefined || secret === undefined) return;
    this.#secrets.set(label, Buffer.from(secret, 'hex'));
    const peer = this.#options.role === 'client' ? 'SERVER' : 'CLIENT';
    if (label !== `${peer}_HANDSHAKE_TRAFFIC_SECRET`) return;
    // The suite of a server is known once its hello leaves, which is after this line.
    queueMicrotask(() => this.#attempt(() => this.#takeReadSecret(label)));
  }

  #takeReadSecret(label: string): void {
    if (this.#suite === 0) {
      setImmediate(() => this.#attempt(() => this.#takeReadSecret(label)));
      return;
    }
    this.#readFinder.setSecret(this.#suite, this.#secrets.get(label)!);
    this.#pump();
  }

  /** Both Finished are exchanged: judge the peer, then ask node:tls for the sentinel. */
  #onSecure(): void {
    if (this.#isOver) return;
    const chain = this.#peerChain();
    let identity: string;
    try {
      identity = this.#options.verifyPeer(chain);
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new PeerIdentityError(`tls error: ${message}`, { cause });
    }
    this.#verified = { identity, chain };
    this.#tls.write(SENTINEL);
  }

  #peerChain(): PeerChain {
    if (this.#options.role === 'server') {
      // node checks clients only inside tls.Server; the verdict of OpenSSL is the same call.
      const handle = (this.#tls as unknown as { _handle?: { verifyError?(): Error | null } })
        ._handle;
      if (typeof handle?.verifyError !== 'function')
        throw new TlsHandshakeError('peer not verified');
      const verdict = handle.verifyError();
      if (verdict) throw new TlsHandshakeError(verdict.message, { cause: verdict });
    }
    const certificates: X509Certificate[] = [];
    for (let at = this.#tls.getPeerX509Certificate(); at; at = at.issuerCertificate) {
      if (certificates.some((seen) => seen.fingerprint256 === at?.fingerprint256)) break;
      certificates.push(at);
    }
    if (certificates[0] === undefined) throw new TlsHandshakeError('peer sent no certificate');
    return { leaf: certificates[0], certificates };
  }

  #secret(direction: 'read' | 'write'): Buffer {
    const isClient = (this.#options.role === 'client') === (direction === 'write');
    const secret = this.#secrets.get(`${isClient ? 'CLIENT' : 'SERVER'}_TRAFFIC_SECRET_0`);
    if (secret === undefined) throw new TlsHandshakeError('no key log line for the traffic secret');
    return secret;
  }

  #finish(): void {
    const result: HandshakeResult = {
      suite: this.#suite,
      peerIdentity: this.#verified!.identity,
      peerChain: this.#verified!.chain,
      readSecret: this.#secret('read'),
      writeSecret: this.#secret('write'),
      writeSequence: this.#writeOpener!.sequence - 1,
      unread: Buffer.from(this.#incoming.rest()),
    };
    this.#stop();
    this.#resolve(result);
  }

  #attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#fail(
        error instanceof Error ? asHandshakeError(error) : new TlsHandshakeError('unknown'),
      );
    }
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#stop();
    this.#reject(error);
  }

  #stop(): void {
    this.#isOver = true;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#socket.pauseReading();
    // Not at once: node:tls may be in the middle of calling us.
    setImmediate(() => {
      this.#tls.destroy();
      this.#shim.destroy();
    });
  }
}

function asHandshakeError(error: Error): Error {
  if (error instanceof TlsHandshakeError || error instanceof PeerIdentityError) return error;
  return new TlsHandshakeError(error.message, { cause: error });
}
