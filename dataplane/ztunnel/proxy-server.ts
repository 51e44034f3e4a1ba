import type { HboneServerConnection, Listener, TcpConnection } from '../hbone/api.ts';
import { BindError } from './bind-error.ts';
import type { ConnectionTracker } from './connection-tracker.ts';
import { acceptTunnel } from './inbound.ts';
import type { ProcessContext, ProxyContext } from './proxy-context.ts';
import { drained, ProxyError } from './proxy-error.ts';
import type { ListeningSocket, SocketFactory } from './socket-factory.ts';

/** The three listeners of ztunnel; their ports are fixed on every mesh workload. */
const LISTENERS = {
  outbound: { scope: 'proxy::outbound', component: 'outbound', port: 15001 },
  inboundPlaintext: {
    scope: 'proxy::inbound_passthrough',
    component: 'inbound plaintext',
    port: 15006,
  },
  inbound: { scope: 'proxy::inbound', component: 'inbound', port: 15008 },
} as const;

type ListenerName = keyof typeof LISTENERS;

/** What becomes of an accepted connection; nothing more where it was refused. */
type Serve = (connection: TcpConnection, isTransparent: boolean) => Promise<void> | undefined;

export interface ProxyServerOptions {
  readonly process: ProcessContext;
  readonly sockets: SocketFactory;
  /** Connections that end before the server does. */
  readonly connections: ConnectionTracker;
}

/** Listeners of a proxy and the tunnels that peers opened to it, until the last has ended. */
export class ProxyServer implements Disposable {
  readonly #options: ProxyServerOptions;
  readonly #listeners: Listener[] = [];
  readonly #tunnels = new Set<HboneServerConnection>();
  readonly #abort = new AbortController();
  #isDraining = false;

  constructor(options: ProxyServerOptions) {
    this.#options = options;
  }

  /**
   * Binds all listeners, that for tunnels first, and starts to serve.
   * @throws BindError; what was bound until then is closed by disposing
   */
  listen(serve: Readonly<Record<ListenerName, Serve>>): void {
    for (const name of ['inbound', 'inboundPlaintext', 'outbound'] as const) {
      this.#listen(name, serve[name]);
    }
  }

  /** Serves a tunnel of a peer to its end, for the workload whose context it gets. */
  async serveTunnel(
    proxy: ProxyContext,
    connection: TcpConnection,
    isTransparent: boolean,
  ): Promise<void> {
    const { signal } = this.#abort;
    const tunnel = await acceptTunnel({ proxy, isTransparent, signal }, connection);
    if (!tunnel) return;
    this.#tunnels.add(tunnel);
    if (this.#isDraining) tunnel.goaway();
    await tunnel.closed;
    this.#tunnels.delete(tunnel);
  }

  /**
   * Stops accepting, lets connections run to their end and tunnels close gracefully; what is left
   * after `deadlineMs` is cut. Settles when nothing is left.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.#closeListeners();
    for (const tunnel of this.#tunnels) tunnel.goaway();
    const timer = setTimeout(() => this.#force(), deadlineMs);
    await this.#options.connections.idle();
    // A tunnel closes by itself after its last stream; the deadline covers a peer that stays.
    await Promise.all([...this.#tunnels].map(({ closed }) => closed));
    clearTimeout(timer);
  }

  /** Cuts everything at once, and tells peers of tunnels nothing. */
  sever(): void {
    this.#closeListeners();
    for (const tunnel of this.#tunnels) tunnel.sever();
    this.#options.connections.cutAll(drained());
  }

  [Symbol.dispose](): void {
    this.#closeListeners();
    this.#abort.abort(drained());
    for (const tunnel of this.#tunnels) tunnel.close();
  }

  #listen(name: ListenerName, serve: Serve): void {
    const { scope, component, port } = LISTENERS[name];
    const { dataPath, log, config } = this.#options.process;
    const bare = `${config.ipv6Enabled ? '[::]' : '0.0.0.0'}:${port}`;
    const { fd, isTransparent: transparent } = this.#bind(bare, port);
    const onAcceptError = (error: Error): void =>
      log.warn(scope, 'failed to accept', { error: error.message });
    const onConnection = (connection: TcpConnection): void => void serve(connection, transparent);
    this.#listeners.push(dataPath.listen(fd, onConnection, { onAcceptError }));
    log.info(scope, 'listener established', { address: { bare }, component, transparent });
  }

  #bind(address: string, port: number): ListeningSocket {
    try {
      return this.#options.sockets.listenProxy(port, port !== LISTENERS.inbound.port);
    } catch (error) {
      throw new BindError(address, error);
    }
  }

  #closeListeners(): void {
    this.#isDraining = true;
    for (const listener of this.#listeners.splice(0)) listener.close();
  }

  /** The end of the grace period. */
  #force(): void {
    const inTunnels = 'connection failed to drain within the timeout';
    if (this.#tunnels.size > 0) this.#options.process.log.warn('proxy::inbound', inTunnels);
    this.#options.connections.cutAll(drained());
    this.#abort.abort(new ProxyError('drain-timeout', inTunnels));
  }
}
