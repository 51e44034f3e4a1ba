import { KernelError } from '../kernel/errors.ts';
import { closeNetns } from '../kernel/netns.ts';
import { closeFd, type KeepAlive, openSocket, type OpenSocketOptions } from '../kernel/sockets.ts';
import { type Endpoint, isIpv6 } from './address.ts';
import type { KeepaliveConfig, ZtunnelConfig } from './config.ts';
import { drained } from './proxy-error.ts';

/** A bound listening socket, and whether it takes foreign addresses (IP_TRANSPARENT). */
export interface ListeningSocket {
  readonly fd: number;
  readonly isTransparent: boolean;
}

const BACKLOG = 128;

/**
 * Makes the sockets of one workload: in its netns, with the mark, reuse and keepalive of the settings
 * (ztunnel `src/proxyfactory.rs`, `src/inpod/config.rs`). Descriptors belong to the caller.
 */
export class SocketFactory implements Disposable {
  readonly #config: ZtunnelConfig;
  readonly #netns: number | undefined;
  #isClosed = false;
  #ownsNetns = false;

  /** `netns`: descriptor of the pod's namespace; undefined for the process's own (dedicated mode). */
  constructor(config: ZtunnelConfig, netns: number | undefined) {
    this.#config = config;
    this.#netns = netns;
  }

  /**
   * A proxy listener on all addresses. Transparency follows ENABLE_ORIG_SRC: required, never, or
   * given up when the kernel refuses.
   * @throws KernelError
   */
  listenProxy(port: number, keepsAlive: boolean): ListeningSocket {
    const bind = { address: this.#config.ipv6Enabled ? '::' : '0.0.0.0', port };
    const options = { ...this.#listenOptions(bind), ...(keepsAlive ? this.#keepalive() : {}) };
    const { enableOrigSrc } = this.#config;
    if (enableOrigSrc === false) return { fd: openSocket(options), isTransparent: false };
    try {
      return { fd: openSocket({ ...options, transparent: true }), isTransparent: true };
    } catch (error) {
      const isRefused = error instanceof KernelError && error.syscall.includes('TRANSPARENT');
      if (enableOrigSrc || !isRefused) throw error;
      return { fd: openSocket(options), isTransparent: false };
    }
  }

  /** A plain TCP listener. @throws KernelError */
  listenTcp(at: Endpoint): number {
    return openSocket(this.#listenOptions({ address: at.ip, port: at.port }));
  }

  /** A bound UDP socket. @throws KernelError */
  bindUdp(at: Endpoint): number {
    const { mark, ...reuse } = this.#shared();
    return openSocket({
      ...this.#place(at.ip),
      type: 'dgram',
      mark,
      ...reuse,
      bind: { address: at.ip, port: at.port },
    });
  }

  /** An unconnected TCP socket for connecting to `to`. @throws KernelError */
  connectTcp(to: Endpoint): number {
    return openSocket({ ...this.#place(to.ip), ...this.#outgoing() });
  }

  /**
   * The same with the client's address as its own; the port is the kernel's choice at connect.
   * @throws KernelError
   */
  connectTcpFrom(sourceIp: string): number {
    return openSocket({
      ...this.#place(sourceIp),
      ...this.#outgoing(),
      transparent: true,
      freebind: true,
      bindAddressNoPort: true,
      bind: { address: sourceIp, port: 0 },
    });
  }

  /** An unbound UDP socket for asking servers of that family. @throws KernelError */
  outgoingUdp(to: Endpoint): number {
    const address = isIpv6(to.ip) ? '::' : '0.0.0.0';
    const { mark } = this.#shared();
    return openSocket({ ...this.#place(to.ip), type: 'dgram', mark, bind: { address, port: 0 } });
  }

  /** Whether `::1` can be used in the namespace. */
  hasIpv6Loopback(): boolean {
    if (!this.#config.ipv6Enabled) return false;
    if (this.#isClosed) return false;
    // Asked with a socket: where there are hundreds of namespaces, their files in /proc are slow.
    try {
      const bind = { address: '::1', port: 0 };
      closeFd(openSocket({ ...this.#place('::1'), type: 'dgram', bind }));
      return true;
    } catch (error) {
      if (error instanceof KernelError) return false;
      throw error;
    }
  }

  /** From now on the descriptor of the namespace is closed on disposal. */
  ownNetns(): void {
    this.#ownsNetns = true;
  }

  /** No socket can be made any more. Idempotent. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#ownsNetns && this.#netns !== undefined) closeNetns(this.#netns);
  }

  #place(ip: string): Pick<OpenSocketOptions, 'netns' | 'family'> {
    // The number may belong to another descriptor by now.
    if (this.#isClosed) throw drained();
    return { netns: this.#netns, family: isIpv6(ip) ? 'ipv6' : 'ipv4' };
  }

  /** In shared mode the mark is on every socket; in dedicated mode on outgoing TCP only. */
  #shared(): Pick<OpenSocketOptions, 'mark' | 'reusePort' | 'reuseAddress'> {
    const { proxyMode, inpodEnabled } = this.#config;
    if (proxyMode === 'dedicated' || !inpodEnabled) return { reuseAddress: true };
    const mark = this.#config.packetMark;
    return this.#config.inpodPortReuse ? { mark, reusePort: true } : { mark, reuseAddress: true };
  }

  #listenOptions(bind: { readonly address: string; readonly port: number }): OpenSocketOptions {
    return { ...this.#place(bind.address), ...this.#shared(), bind, listen: BACKLOG };
  }

  #outgoing(): Partial<OpenSocketOptions> {
    return { mark: this.#config.packetMark, noDelay: true, ...this.#keepalive() };
  }

  #keepalive(): Pick<OpenSocketOptions, 'keepAlive' | 'userTimeoutMs'> {
    return keepaliveOptions(this.#config.keepalive);
  }
}

function keepaliveOptions(config: KeepaliveConfig): {
  keepAlive?: KeepAlive;
  userTimeoutMs?: number;
} {
  const { isEnabled, timeMs, intervalMs, retries, isUserTimeoutEnabled } = config;
  const userTimeoutMs = isUserTimeoutEnabled ? timeMs + retries * intervalMs : undefined;
  if (!isEnabled) return { userTimeoutMs };
  const seconds = (ms: number): number => Math.max(1, Math.round(ms / 1000));
  const keepAlive = { idleS: seconds(timeMs), intervalS: seconds(intervalMs), probes: retries };
  return { keepAlive, userTimeoutMs };
}
