import { EventEmitter } from 'node:events';
import { lstatSync, rmSync } from 'node:fs';
import { native } from './addon.ts';
import { KernelError, kernelCall } from './errors.ts';
import { type FdWatch, watchFd } from './poll.ts';
import { acceptFd, closeFd, connectFd, openSocket } from './sockets.ts';

/** One packet; the receiver owns `fds` (close-on-exec) and closes them. */
export interface SeqpacketMessage {
  readonly data: Buffer;
  readonly fds: readonly number[];
}

export interface SeqpacketOptions {
  /** Longest packet accepted (`facts/ztunnel.md` §3.1 reads with 1024). */
  readonly maxReadBytes?: number;
}

interface ConnectionEvents {
  message: [SeqpacketMessage];
  error: [unknown];
  close: [];
}

interface Waiting {
  readonly data: Uint8Array;
  readonly fds: readonly number[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const MAX_READ_BYTES = 1024;
/** Packets that may wait for a slow reader before `send` refuses more. */
const MAX_WAITING = 4096;

/**
 * One connected SOCK_SEQPACKET Unix socket: packets keep their bounds and carry descriptors.
 * Reading starts when a `message` listener is there. `error` (truncated packet, reset) is followed
 * by `close`; `close` comes exactly once, with the descriptor already closed.
 */
export class SeqpacketConnection extends EventEmitter<ConnectionEvents> {
  readonly fd: number;
  readonly #buffer: Buffer;
  readonly #waiting: Waiting[] = [];
  readonly #watch: FdWatch;
  #isClosed = false;

  /** Takes over a connected, non-blocking descriptor. */
  constructor(fd: number, options: SeqpacketOptions = {}) {
    super();
    this.fd = fd;
    this.#buffer = Buffer.allocUnsafeSlow(options.maxReadBytes ?? MAX_READ_BYTES);
    this.#watch = watchFd(fd, (ready) => this.#onReady(ready.readable, ready.writable), {});
    (this as EventEmitter).on('newListener', (event) => {
      if (event === 'message') queueMicrotask(() => this.#updateInterest());
    });
  }

  /**
   * A connection to the listener at `path`.
   *
   * @throws {KernelError} ENOENT, ECONNREFUSED, EAGAIN when the listener's queue is full
   */
  static connect(path: string, options: SeqpacketOptions = {}): SeqpacketConnection {
    const fd = openSocket({ family: 'unix', type: 'seqpacket' });
    try {
      connectFd(fd, 'unix', { path });
      return new SeqpacketConnection(fd, options);
    } catch (error) {
      closeFd(fd);
      throw error;
    }
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Sends one packet; resolves when the kernel has it. `fds` stay the caller's and must be open until
   * then. Rejects with a `KernelError` (EPIPE when the peer is gone, EMSGSIZE, EINVAL when empty:
   * a reader takes an empty packet for the end).
   */
  async send(data: Uint8Array, fds: readonly number[] = []): Promise<void> {
    if (this.#isClosed) throw fault('send on a closed connection', 'EPIPE', 32);
    if (data.length === 0) throw fault('send a packet: it is empty', 'EINVAL', 22);
    if (this.#waiting.length === 0 && this.#write(data, fds)) return;
    if (this.#waiting.length >= MAX_WAITING) {
      throw fault(`send a packet: ${MAX_WAITING} wait already`, 'ENOBUFS', 105);
    }
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ data, fds, resolve, reject });
      this.#updateInterest();
    });
  }

  /** Closes the descriptor; packets that still wait are rejected. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watch[Symbol.dispose]();
    closeFd(this.fd);
    for (const packet of this.#waiting.splice(0)) {
      packet.reject(fault('send on a closed connection', 'EPIPE', 32));
    }
    queueMicrotask(() => this.emit('close'));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #onReady(readable: boolean, writable: boolean): void {
    if (writable) this.#flush();
    if (!readable) return;
    while (!this.#isClosed && this.listenerCount('message') > 0) {
      const message = this.#receive();
      if (!message) break;
      this.emit('message', message);
    }
    this.#updateInterest();
  }

  /** The next packet; undefined when none waits or the connection has ended. */
  #receive(): SeqpacketMessage | undefined {
    try {
      const got = kernelCall('receive a packet', () =>
        native.receiveMessage(this.fd, this.#buffer),
      );
      if (got === null) return undefined;
      if (got.truncated) {
        throw fault(
          `receive a packet: over ${this.#buffer.length} bytes or 16 fds`,
          'EMSGSIZE',
          90,
        );
      }
      if (got.length > 0) {
        return { data: Buffer.from(this.#buffer.subarray(0, got.length)), fds: got.fds };
      }
      this.close();
    } catch (error) {
      this.#fail(error);
    }
    return undefined;
  }

  #flush(): void {
    try {
      for (;;) {
        const next = this.#waiting[0];
        if (!next || !this.#write(next.data, next.fds)) break;
        this.#waiting.shift();
        next.resolve();
      }
      this.#updateInterest();
    } catch (error) {
      this.#fail(error);
    }
  }

  #write(data: Uint8Array, fds: readonly number[]): boolean {
    return kernelCall('send a packet', () => native.sendMessage(this.fd, data, fds));
  }

  #updateInterest(): void {
    if (this.#isClosed) return;
    this.#watch.setInterest({
      readable: this.listenerCount('message') > 0,
      writable: this.#waiting.length > 0,
    });
  }

  #fail(error: unknown): void {
    this.close();
    // A peer that broke off is no reason to end a process that does not care: `close` follows.
    if (this.listenerCount('error') > 0) this.emit('error', error);
  }
}

interface ListenerEvents {
  connection: [SeqpacketConnection];
  error: [unknown];
}

export interface ListenOptions extends SeqpacketOptions {
  readonly backlog?: number;
}

/** A listening SOCK_SEQPACKET Unix socket; each peer arrives as a `connection` event. */
export class SeqpacketListener extends EventEmitter<ListenerEvents> {
  readonly path: string;
  readonly fd: number;
  readonly #options: ListenOptions;
  readonly #watch: FdWatch;
  #isClosed = false;

  /**
   * Listens at `path`, taking the place of a socket file that an earlier listener left.
   *
   * @throws {KernelError} EADDRINUSE when `path` is another kind of file
   */
  constructor(path: string, options: ListenOptions = {}) {
    super();
    this.path = path;
    this.#options = options;
    if (lstatSync(path, { throwIfNoEntry: false })?.isSocket()) rmSync(path);
    this.fd = openSocket({
      family: 'unix',
      type: 'seqpacket',
      bind: { path },
      listen: options.backlog ?? 128,
    });
    this.#watch = watchFd(this.fd, () => this.#acceptAll());
  }

  /** Stops listening and removes the socket file; connections live on. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watch[Symbol.dispose]();
    closeFd(this.fd);
    rmSync(this.path, { force: true });
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #acceptAll(): void {
    try {
      while (!this.#isClosed) {
        const fd = acceptFd(this.fd);
        if (fd === undefined) return;
        const connection = new SeqpacketConnection(fd, this.#options);
        if (!this.emit('connection', connection)) connection.close();
      }
    } catch (error) {
      this.emit('error', error);
    }
  }
}

function fault(action: string, errnoName: string, errno: number): KernelError {
  return new KernelError(`Cannot ${action}`, { syscall: 'seqpacket', errno, errnoName });
}
