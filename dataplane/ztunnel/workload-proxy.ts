import type { HbonePool, HboneServerConnection, Listener, TcpConnection } from '../hbone/api.ts';
import { BindError } from './bind-error.ts';
import type { WorkloadIdentity } from './config.ts';
import { ConnectionTracker, type ConnectionView } from './connection-tracker.ts';
import { acceptTunnel } from './inbound.ts';
import { serveInboundPassthrough } from './inbound-passthrough.ts';
import { createOutboundPool, serveOutbound } from './outbound.ts';
import { drained, ProxyError } from './proxy-error.ts';
import type { ProcessContext, ProxyContext } from './proxy-context.ts';
import type { ListeningSocket, SocketFactory } from './socket-factory.ts';

/** Ports of the three listeners; fixed on every mesh workload. */
const PORTS = { outbound: 15001, inboundPlaintext: 15006, inbound: 15008 } as const;

/** The proxy of one workload: its listeners, its tunnels as client and server, its connections. */
export class WorkloadProxy {
  readonly #proxy: ProxyContext;
  readonly #listeners: Listener[] = [];
  readonly #tunnels = new Set<HboneServerConnection>();
  readonly #abort = new AbortController();
  readonly #policies: Disposable;
  readonly #pool: HbonePool;
  #isDraining = false;

  /**
   * Binds all listeners and starts to serve.
   * @throws BindError with nothing left bound
   */
  constructor(process: ProcessContext, identity: WorkloadIdentity, sockets: SocketFactory) {
    const connections = new ConnectionTracker(process.log);
    this.#proxy = { ...process, identity, sockets, connections };
    this.#pool = createOutboundPool(this.#proxy);
    this.#policies = process.store.onChange(() => connections.recheck(process.store.current));
    try {
      this.#listen();
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /** Live connections, for `/config_dump`. */
  connections(): ConnectionView[] {
    return this.#proxy.connections.views();
  }

  /** From now on every tunnel that this workload opens begins with a handshake of its own. */
  renewTunnels(): void {
    this.#pool.renew();
  }

  /**
   * Cuts everything at once: the workload is gone, and peers of its tunnels are told nothing
   * (istio/istio `architecture/ambient/ztunnel-cni-lifecycle.md`). Idempotent.
   */
  stop(): void {
    this.#closeListeners();
    for (const tunnel of this.#tunnels) tunnel.sever();
    this.#proxy.connections.cutAll(drained());
    this.#release();
  }

  /**
   * Stops accepting, lets connections run to their end and tunnels close gracefully; what is left
   * after `deadlineMs` is cut. Settles when nothing is left.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.#closeListeners();
    for (const tunnel of this.#tunnels) tunnel.goaway();
    const timer = setTimeout(() => this.#force(), deadlineMs);
    await this.#proxy.connections.idle();
    // A tunnel closes by itself after its last stream; the deadline covers a peer that stays.
    await Promise.all([...this.#tunnels].map(({ closed }) => closed));
    clearTimeout(timer);
    this.#release();
    this.#logDrained();
  }

  #listen(): void {
    this.#serve('proxy::inbound', 'inbound', PORTS.inbound, (connection, isTransparent) =>
      this.#acceptTunnel(connection, isTransparent),
    );
    const plaintext = 'proxy::inbound_passthrough';
    this.#serve(
      plaintext,
      'inbound plaintext',
      PORTS.inboundPlaintext,
      (connection, isTransparent) =>
        serveInboundPassthrough(this.#proxy, connection, isTransparent),
    );
    this.#serve('proxy::outbound', 'outbound', PORTS.outbound, (connection) =>
      serveOutbound(this.#proxy, this.#pool, connection),
    );
  }

  #serve(
    scope: string,
    component: string,
    port: number,
    serve: (connection: TcpConnection, isTransparent: boolean) => Promise<void>,
  ): void {
    const { dataPath, log, config } = this.#proxy;
    const address = `${config.ipv6Enabled ? '[::]' : '0.0.0.0'}:${port}`;
    const socket = this.#bind(address, port);
    const onAcceptError = (error: Error): void =>
      log.warn(scope, 'failed to accept', { error: error.message });
    const onConnection = (connection: TcpConnection): void =>
      void serve(connection, socket.isTransparent);
    this.#listeners.push(dataPath.listen(socket.fd, onConnection, { onAcceptError }));
    log.info(scope, 'listener established', {
      address: { bare: address },
      component,
      transparent: socket.isTransparent,
    });
  }

  #bind(address: string, port: number): ListeningSocket {
    try {
      return this.#proxy.sockets.listenProxy(port, port !== PORTS.inbound);
    } catch (error) {
      throw new BindError(address, error);
    }
  }

  async #acceptTunnel(connection: TcpConnection, isTransparent: boolean): Promise<void> {
    const { signal } = this.#abort;
    const tunnel = await acceptTunnel({ proxy: this.#proxy, isTransparent, signal }, connection);
    if (!tunnel) return;
    this.#tunnels.add(tunnel);
    if (this.#isDraining) tunnel.goaway();
    await tunnel.closed;
    this.#tunnels.delete(tunnel);
  }

  #closeListeners(): void {
    this.#isDraining = true;
    for (const listener of this.#listeners.splice(0)) listener.close();
  }

  /** The end of the grace period. */
  #force(): void {
    const inTunnels = 'connection failed to drain within the timeout';
    if (this.#tunnels.size > 0) this.#proxy.log.warn('proxy::inbound', inTunnels);
    this.#proxy.connections.cutAll(drained());
    this.#abort.abort(new ProxyError('drain-timeout', inTunnels));
  }

  #release(): void {
    this.#closeListeners();
    this.#abort.abort(drained());
    for (const tunnel of this.#tunnels) tunnel.close();
    this.#pool[Symbol.dispose]();
    this.#policies[Symbol.dispose]();
  }

  #logDrained(): void {
    const { log, identity } = this.#proxy;
    const scope = `drain:proxy{wl=${identity.namespace}/${identity.name}}`;
    for (const component of ['inbound passthrough', 'outbound', 'inbound']) {
      log.info(scope, 'shutdown complete', { component });
    }
  }
}
