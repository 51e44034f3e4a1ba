import type { WorkloadIdentity } from './config.ts';
import type { ConnectionView } from './connection-tracker.ts';
import { DnsProxy } from './dns/server.ts';
import type { ProcessContext } from './proxy-context.ts';
import { SocketFactory } from './socket-factory.ts';
import type { ManagedProxy } from './workload-manager.ts';
import { WorkloadProxy } from './workload-proxy.ts';

/** Everything that runs for one pod: DNS proxy and TCP proxy, as the settings say. */
export class PodProxy implements ManagedProxy {
  readonly #process: ProcessContext;
  readonly #identity: WorkloadIdentity;
  readonly #sockets: SocketFactory;
  readonly #dns: DnsProxy | undefined;
  readonly #proxy: WorkloadProxy | undefined;

  /**
   * Binds everything; the descriptor of the pod's netns (undefined: the process's own) belongs to the
   * proxy from then on.
   * @throws BindError with nothing left bound; the descriptor is still the caller's then
   */
  constructor(process: ProcessContext, identity: WorkloadIdentity, netns: number | undefined) {
    const { config } = process;
    this.#process = process;
    this.#identity = identity;
    this.#sockets = new SocketFactory(config, netns);
    this.#dns = config.dnsProxyEnabled ? new DnsProxy(process, identity, this.#sockets) : undefined;
    try {
      this.#proxy = config.proxyEnabled
        ? new WorkloadProxy(process, identity, this.#sockets)
        : undefined;
    } catch (error) {
      this.#dns?.[Symbol.dispose]();
      throw error;
    }
    // Only now: a failed start leaves the descriptor to the caller, who tries again with it.
    this.#sockets.ownNetns();
  }

  connections(): ConnectionView[] {
    return this.#proxy?.connections() ?? [];
  }

  renewTunnels(): void {
    this.#proxy?.renewTunnels();
  }

  stop(): void {
    this.#proxy?.stop();
    this.#dns?.[Symbol.dispose]();
    this.#sockets[Symbol.dispose]();
  }

  async drain(deadlineMs: number): Promise<void> {
    await this.#proxy?.drain(deadlineMs);
    this.#drainDns();
    this.#sockets[Symbol.dispose]();
  }

  /** Names are needed by connections that still run, so the DNS proxy goes last. */
  #drainDns(): void {
    if (!this.#dns) return;
    const { namespace, name } = this.#identity;
    const scope = `dns::server:dns_proxy{wl=${namespace}/${name}}`;
    this.#process.log.info(scope, 'shutting down the DNS server');
    this.#dns[Symbol.dispose]();
    this.#process.log.info(scope, 'dns server drained');
  }
}
