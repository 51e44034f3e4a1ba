import type { HbonePool, TcpConnection } from '../hbone/api.ts';
import { type Endpoint, formatEndpoint } from './address.ts';
import { ConnectionReport } from './connection-report.ts';
import { ConnectionTracker, type ConnectionView } from './connection-tracker.ts';
import { DnsProxy } from './dns/server.ts';
import { serveInboundPassthrough } from './inbound-passthrough.ts';
import { OWN_PORTS, selfCall } from './outbound-plan.ts';
import { createOutboundPool, serveOutbound } from './outbound.ts';
import type { ProcessContext, ProxyContext } from './proxy-context.ts';
import { ProxyError } from './proxy-error.ts';
import { ProxyServer } from './proxy-server.ts';
import { SocketFactory } from './socket-factory.ts';
import type { Workload } from './state/workload.ts';

/** What is kept of one workload between its connections. */
interface Resident {
  readonly proxy: ProxyContext;
  readonly pool: HbonePool;
}

/**
 * The proxy of all pods of a node, in ztunnel's own network namespace: Istio 1.18 to 1.20. The node's
 * rules lead connections here with the addresses they were sent with, so the socket tells both ends;
 * who a connection belongs to is looked up by address, anew for each.
 */
export class NodeProxy {
  readonly #process: ProcessContext;
  readonly #sockets: SocketFactory;
  readonly #connections: ConnectionTracker;
  readonly #residents = new Map<string, Resident>();
  readonly #server: ProxyServer;
  readonly #policies: Disposable;
  readonly #nobody: ProxyContext;
  readonly #dns: DnsProxy | undefined;

  /**
   * Binds all listeners and starts to serve.
   * @throws BindError with nothing left bound
   */
  constructor(process: ProcessContext) {
    this.#process = process;
    this.#sockets = new SocketFactory(process.config, undefined);
    this.#connections = new ConnectionTracker(process.log);
    const [sockets, connections] = [this.#sockets, this.#connections];
    this.#server = new ProxyServer({ process, sockets, connections });
    this.#nobody = this.#contextOf({ name: '', namespace: '', serviceAccount: '' });
    this.#policies = process.store.onChange(() => {
      this.#connections.recheck(process.store.current);
      this.#forgetGone();
    });
    const { dnsProxyEnabled } = process.config;
    this.#dns = dnsProxyEnabled ? new DnsProxy(process, undefined, this.#sockets) : undefined;
    try {
      this.#listen();
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  connections(): ConnectionView[] {
    return this.#connections.views();
  }

  renewTunnels(): void {
    for (const { pool } of this.#residents.values()) pool.renew();
  }

  /** Settles when connections and tunnels have ended, by themselves or after `deadlineMs`. */
  async drain(deadlineMs: number): Promise<void> {
    await this.#server.drain(deadlineMs);
    this.#release();
  }

  #listen(): void {
    this.#server.listen({
      inbound: (connection, isTransparent) => {
        const proxy = this.#destinationOf(connection, 'inbound');
        return proxy && this.#server.serveTunnel(proxy, connection, isTransparent);
      },
      inboundPlaintext: (connection, isTransparent) =>
        this.#inboundPlain(connection, isTransparent),
      outbound: (connection) => {
        const resident = this.#sourceOf(connection);
        return resident && serveOutbound(resident.proxy, resident.pool, connection);
      },
    });
  }

  /** Plain text for a workload with a waypoint goes there, as if its client were one of ours. */
  #inboundPlain(connection: TcpConnection, isTransparent: boolean): Promise<void> | undefined {
    const proxy = this.#destinationOf(connection, 'inbound-passthrough');
    if (!proxy) return undefined;
    if (proxy.store.local(proxy.identity)?.waypoint === undefined) {
      return serveInboundPassthrough(proxy, connection, isTransparent);
    }
    const resident = this.#sourceOf(connection);
    const hairpinClient = this.#workloadAt(connection.peer.ip);
    return (
      resident && serveOutbound({ ...resident.proxy, hairpinClient }, resident.pool, connection)
    );
  }

  /** The workload that opened the connection; undefined, and the connection closed, for nobody. */
  #sourceOf(connection: TcpConnection): Resident | undefined {
    const { ip } = connection.peer;
    const target = connection.originalDestination() ?? connection.local;
    if (this.#isSelf(target)) return this.#refuse('outbound', connection, target, selfCall());
    const workload = this.#workloadAt(ip);
    if (workload) return this.#residentOf(workload);
    const fault = new ProxyError('unknown-workload', `unknown source: ${ip}`);
    return this.#refuse('outbound', connection, target, fault);
  }

  /** The same for whom it is meant. */
  #destinationOf(
    connection: TcpConnection,
    leg: 'inbound' | 'inbound-passthrough',
  ): ProxyContext | undefined {
    const target = connection.originalDestination() ?? connection.local;
    if (this.#isSelf(target)) return this.#refuse(leg, connection, target, selfCall());
    const workload = this.#workloadAt(target.ip);
    if (workload) return this.#residentOf(workload).proxy;
    const fault = new ProxyError('unknown-workload', `unknown destination: ${target.ip}`);
    return this.#refuse(leg, connection, target, fault);
  }

  #refuse(
    leg: 'outbound' | 'inbound' | 'inbound-passthrough',
    connection: TcpConnection,
    target: Endpoint,
    fault: ProxyError,
  ): undefined {
    const report = new ConnectionReport(this.#nobody, leg, connection, target);
    report.originalDestination = formatEndpoint(target);
    connection.close();
    report.fail(fault);
  }

  #isSelf({ ip, port }: Endpoint): boolean {
    return ip === this.#process.config.instanceIp && OWN_PORTS.includes(port);
  }

  #workloadAt(ip: string): Workload | undefined {
    return this.#process.store.current.workloadByIp(this.#process.config.network, ip);
  }

  #residentOf(workload: Workload): Resident {
    const { uid, name, namespace, serviceAccount } = workload;
    const known = this.#residents.get(uid);
    if (known) return known;
    const proxy = this.#contextOf({ name, namespace, serviceAccount });
    const resident = { proxy, pool: createOutboundPool(proxy) };
    this.#residents.set(uid, resident);
    return resident;
  }

  #contextOf(identity: ProxyContext['identity']): ProxyContext {
    const { config } = this.#process;
    return {
      ...this.#process,
      config,
      identity,
      sockets: this.#sockets,
      connections: this.#connections,
      isNodeLevel: true,
    };
  }

  #forgetGone(): void {
    const { workloads } = this.#process.store.current;
    for (const [uid, { pool }] of this.#residents) {
      if (workloads.has(uid)) continue;
      pool.renew();
      this.#residents.delete(uid);
    }
  }

  #release(): void {
    this.#server[Symbol.dispose]();
    for (const { pool } of this.#residents.values()) pool[Symbol.dispose]();
    this.#policies[Symbol.dispose]();
    this.#dns?.[Symbol.dispose]();
    this.#sockets[Symbol.dispose]();
  }
}
