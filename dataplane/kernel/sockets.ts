import { native } from './addon.ts';
import { kernelCall } from './errors.ts';

/** One end of a connection; IPv4 also when the socket is IPv6 and the address v4-mapped. */
export interface SocketAddress {
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
}

export interface InetEnd {
  readonly address: string;
  readonly port: number;
}

export interface UnixEnd {
  readonly path: string;
}

export interface KeepAlive {
  readonly idleS: number;
  readonly intervalS: number;
  readonly probes: number;
}

export interface OpenSocketOptions {
  /** Descriptor of the netns the socket is born in; absent: this process's own. */
  readonly netns?: number;
  readonly family: 'ipv4' | 'ipv6' | 'unix';
  readonly type?: 'stream' | 'dgram' | 'seqpacket';
  /** SO_MARK, inherited by accepted sockets. */
  readonly mark?: number;
  /** IP_TRANSPARENT (and the IPv6 one): bind to and accept for foreign addresses. */
  readonly transparent?: boolean;
  readonly freebind?: boolean;
  /** The kernel picks the source port at connect, by the whole tuple (IP_BIND_ADDRESS_NO_PORT). */
  readonly bindAddressNoPort?: boolean;
  readonly reusePort?: boolean;
  readonly reuseAddress?: boolean;
  readonly noDelay?: boolean;
  readonly keepAlive?: KeepAlive;
  readonly userTimeoutMs?: number;
  /** An IPv4 address on an `ipv6` socket is bound v4-mapped; `::` without `v6only` is dual-stack. */
  readonly bind?: InetEnd | UnixEnd;
  /** Backlog; present: the socket listens. */
  readonly listen?: number;
  readonly v6only?: boolean;
  /** True when reads and connects on the descriptor may wait; the default never blocks. */
  readonly blocking?: boolean;
}

const TYPES = { stream: 0, dgram: 1, seqpacket: 2 } as const;
const FAMILIES = { unix: 1, ipv4: 4, ipv6: 6 } as const;

/**
 * A close-on-exec socket born in `netns` with every option set before bind and listen, in the order
 * of `facts/ztunnel.md` §1.2. Nothing is left open when any step fails. The caller owns the
 * descriptor.
 *
 * @throws {KernelError} `syscall` names the step (`socket`, `IP_TRANSPARENT`, `bind`, `listen`)
 */
export function openSocket(options: OpenSocketOptions): number {
  return kernelCall(`open ${describe(options)}`, () =>
    native.openSocket(
      FAMILIES[options.family],
      TYPES[options.type ?? 'stream'],
      options.netns ?? -1,
      options,
    ),
  );
}

/**
 * Starts connecting a socket of `openSocket`; true when it is connected already, false while the
 * handshake runs (writable then says that it ended, `socketError` how).
 *
 * @throws {KernelError} ECONNREFUSED, ENETUNREACH, EAGAIN (Unix: the listener's queue is full)
 */
export function connectFd(
  fd: number,
  family: OpenSocketOptions['family'],
  to: InetEnd | UnixEnd,
): boolean {
  return kernelCall(`connect to "${showEnd(to)}"`, () =>
    native.connectSocket(fd, FAMILIES[family], to),
  );
}

/** Next connection of a listening socket as a non-blocking descriptor; undefined when none waits. */
export function acceptFd(fd: number): number | undefined {
  const accepted = kernelCall('accept a connection', () => native.acceptSocket(fd));
  return accepted < 0 ? undefined : accepted;
}

/**
 * Where the client of an accepted connection wanted to go before a REDIRECT rule of iptables:
 * SO_ORIGINAL_DST of IPv4, then of IPv6. Undefined when conntrack knows of no translation.
 */
export function originalDestination(fd: number): SocketAddress | undefined {
  return kernelCall('read an original destination', () => native.originalDestination(fd));
}

/** Own address of a socket, canonical. @throws {KernelError} */
export function localAddress(fd: number): SocketAddress {
  return kernelCall('read a local address', () => native.localAddress(fd));
}

/** Address of the peer of a connected socket, canonical. @throws {KernelError} ENOTCONN */
export function peerAddress(fd: number): SocketAddress {
  return kernelCall('read a peer address', () => native.peerAddress(fd));
}

const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_MARK = 36;

/** Marks every packet the socket sends from now on. @throws {KernelError} EPERM */
export function setSocketMark(fd: number, mark: number): void {
  kernelCall(`mark a socket 0x${mark.toString(16)}`, () =>
    native.setOption(fd, SOL_SOCKET, SO_MARK, mark),
  );
}

/** SO_MARK of a socket, 0 when unset. */
export function socketMark(fd: number): number {
  return kernelCall('read the mark of a socket', () => native.getOption(fd, SOL_SOCKET, SO_MARK));
}

/** Pending error of a socket as positive errno, 0 for none; reading clears it. */
export function socketError(fd: number): number {
  return kernelCall('read the error of a socket', () => native.getOption(fd, SOL_SOCKET, SO_ERROR));
}

/** Closes a descriptor that nothing else owns. @throws {KernelError} EBADF */
export function closeFd(fd: number): void {
  kernelCall(`close descriptor ${fd}`, () => native.closeFd(fd));
}

function describe(options: OpenSocketOptions): string {
  const at = options.bind ? ` on "${showEnd(options.bind)}"` : '';
  return `${options.family} ${options.type ?? 'stream'} socket${at}`;
}

function showEnd(end: InetEnd | UnixEnd): string {
  if ('path' in end) return end.path;
  return end.address.includes(':') ? `[${end.address}]:${end.port}` : `${end.address}:${end.port}`;
}
