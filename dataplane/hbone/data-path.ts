import type { SecureContext } from 'node:tls';
import { Engine } from '../kernel/engine.ts';
import type {
  AcceptHboneOptions,
  ByteChannel,
  ConnectOptions,
  DataPath,
  DataPathOptions,
  HboneCredentials,
  HbonePool,
  HbonePoolKey,
  HbonePoolOptions,
  HboneServerConnection,
  ListenOptions,
  Listener,
  Relay,
  RelayOptions,
  RelayResult,
  SocketAddress,
  TcpConnection,
} from './api.ts';
import { ClientConnection } from './client-connection.ts';
import { connectSocket } from './connect.ts';
import { HboneClosedError, TlsHandshakeError } from './errors.ts';
import { TcpListener } from './listener.ts';
import { ConnectionPool } from './pool.ts';
import { startRelay } from './relay.ts';
import { ServerConnection } from './server-connection.ts';
import { CLIENT_SETTINGS } from './settings.ts';
import { TcpSocket } from './tcp-socket.ts';
import { createHboneContext, runHandshake } from './tls-handshake.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Creates the data path of this process: one engine, one slab, one thread. */
export function createDataPath(options: DataPathOptions = {}): DataPath {
  return new EngineDataPath(options);
}

class EngineDataPath implements DataPath {
  readonly #engine: Engine;
  readonly #options: DataPathOptions;
  readonly #contexts = {
    client: new WeakMap<HboneCredentials, SecureContext>(),
    server: new WeakMap<HboneCredentials, SecureContext>(),
  };

  constructor(options: DataPathOptions) {
    this.#options = options;
    this.#engine = new Engine(options.onCallbackError ?? rethrowLater);
  }

  get openDescriptors(): number {
    return this.#engine.openSlots;
  }

  listen(
    fd: number,
    onConnection: (connection: TcpConnection) => void,
    options: ListenOptions = {},
  ): Listener {
    return new TcpListener(this.#engine, fd, onConnection, options);
  }

  connect(
    fd: number,
    address: SocketAddress,
    options: ConnectOptions = {},
  ): Promise<TcpConnection> {
    return connectSocket(this.#engine, fd, address, options);
  }

  async acceptHbone(
    connection: TcpConnection,
    options: AcceptHboneOptions,
  ): Promise<HboneServerConnection> {
    const socket = asTcpSocket(connection);
    const tls = await this.#secure(socket, 'server', options);
    return new ServerConnection(socket, tls, options, this.#options.recordLimit);
  }

  createPool(options: HbonePoolOptions): HbonePool {
    return new ConnectionPool((key, signal) => this.#connectHbone(key, signal, options), options);
  }

  relay(a: ByteChannel, b: ByteChannel, options?: RelayOptions): Promise<RelayResult> {
    return startRelay(a, b, options).done;
  }

  startRelay(a: ByteChannel, b: ByteChannel, options?: RelayOptions): Relay {
    return startRelay(a, b, options);
  }

  [Symbol.dispose](): void {
    this.#engine[Symbol.dispose]();
  }

  async #secure(
    socket: TcpSocket,
    role: 'client' | 'server',
    options: Pick<AcceptHboneOptions, 'credentials' | 'verifyPeer' | 'signal'>,
  ): ReturnType<typeof runHandshake> {
    let secureContext: SecureContext;
    try {
      secureContext = this.#contextOf(await options.credentials(), role);
    } catch (error) {
      socket.close();
      throw error;
    }
    const { verifyPeer, signal } = options;
    const { keylog } = this.#options;
    return runHandshake(socket, { role, secureContext, verifyPeer, keylog, signal });
  }

  #contextOf(credentials: HboneCredentials, role: 'client' | 'server'): SecureContext {
    const known = this.#contexts[role];
    let context = known.get(credentials);
    if (context === undefined) {
      context = createHboneContext(credentials, role);
      known.set(credentials, context);
    }
    return context;
  }

  async #connectHbone(
    key: HbonePoolKey,
    signal: AbortSignal,
    options: HbonePoolOptions,
  ): Promise<ClientConnection> {
    const socket = asTcpSocket(await options.connectTcp(key, signal));
    const limitMs = options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS;
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
    let connection: ClientConnection | undefined;
    try {
      const tls = await this.#secure(socket, 'client', {
        credentials: () => options.credentials(key),
        verifyPeer: (chain) => options.verifyPeer(chain, key),
        signal: deadline,
      });
      const settings = { ...CLIENT_SETTINGS, ...options.settings };
      connection = new ClientConnection(socket, tls, settings, this.#options.recordLimit);
      await raceAbort(connection.ready, deadline);
      return connection;
    } catch (error) {
      connection?.close();
      if (!signal.aborted && deadline.aborted) {
        throw new TlsHandshakeError(`no answer within ${limitMs} ms`, { cause: error });
      }
      throw error;
    }
  }
}

async function raceAbort(ready: Promise<void>, signal: AbortSignal): Promise<void> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(new HboneClosedError('connection attempt aborted'));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  try {
    await Promise.race([ready, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function asTcpSocket(connection: TcpConnection): TcpSocket {
  if (connection instanceof TcpSocket) return connection;
  throw new TypeError('Cannot use the connection: not made by a data path');
}

function rethrowLater(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}
