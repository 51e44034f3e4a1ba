import type { HbonePool } from '../hbone/api.ts';
import type { WorkloadIdentity } from './config.ts';
import { ConnectionTracker, type ConnectionView } from './connection-tracker.ts';
import { serveInboundPassthrough } from './inbound-passthrough.ts';
import { createOutboundPool, serveOutbound } from './outbound.ts';
import type { ProcessContext, ProxyContext } from './proxy-context.ts';
import { ProxyServer } from './proxy-server.ts';
import type { SocketFactory } from './socket-factory.ts';

/** The proxy of one workload: its listeners, its tunnels as client and server, its connections. */
export class WorkloadProxy {
  readonly #proxy: ProxyContext;
  readonly #server: ProxyServer;
  readonly #policies: Disposable;
  readonly #pool: HbonePool;

  /**
   * Binds all listeners and starts to serve.
   * @throws BindError with nothing left bound
   */
  constructor(process: ProcessContext, identity: WorkloadIdentity, sockets: SocketFactory) {
    const connections = new ConnectionTracker(process.log);
    this.#proxy = { ...process, identity, sockets, connections };
    this.#server = new ProxyServer({ process, sockets, connections });
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
    this.#server.sever();
    this.#release();
  }

  /** Settles when connections and tunnels have ended, by themselves or after `deadlineMs`. */
  async drain(deadlineMs: number): Promise<void> {
    await this.#server.drain(deadlineMs);
    this.#release();
    this.#logDrained();
  }

  #listen(): void {
    const proxy = this.#proxy;
    this.#server.listen({
      inbound: (connection, isTransparent) =>
        this.#server.serveTunnel(proxy, connection, isTransparent),
      inboundPlaintext: (connection, isTransparent) =>
        serveInboundPassthrough(proxy, connection, isTransparent),
      outbound: (connection) => serveOutbound(proxy, this.#pool, connection),
    });
  }

  #release(): void {
    this.#server[Symbol.dispose]();
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
