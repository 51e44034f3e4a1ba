import { errnoName, type Engine } from '../kernel/engine.ts';
import type { ConnectOptions, SocketAddress } from './api.ts';
import { TcpConnectError } from './errors.ts';
import { IgnoringHandler, tuneSlot } from './slots.ts';
import { TcpSocket } from './tcp-socket.ts';

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Connects the socket `fd`, which the engine owns from here on.
 * @throws TcpConnectError; the descriptor is closed then
 */
export async function connectSocket(
  engine: Engine,
  fd: number,
  address: SocketAddress,
  options: ConnectOptions,
): Promise<TcpSocket> {
  const waiter = new ConnectWaiter();
  if (options.signal?.aborted) {
    engine.close(engine.adopt(fd, false, waiter), false);
    throw new TcpConnectError(address, 'ECANCELED');
  }
  const start = engine.connect(fd, address.ip, address.port, waiter);
  if (start.kind === 'failed') throw new TcpConnectError(address, errnoName(start.errno));
  const { slot } = start;
  const failure = start.kind === 'connecting' ? await waiter.wait(options) : undefined;
  if (failure !== undefined) {
    engine.close(slot, false);
    throw new TcpConnectError(address, failure);
  }
  tuneSlot(engine, slot, options.keepalive);
  return new TcpSocket(engine, slot, address);
}

/** Waits for a connect under way, for its time limit and its signal. */
class ConnectWaiter extends IgnoringHandler {
  #settle: ((failure: string | undefined) => void) | undefined;

  override onConnected(): void {
    this.#settle?.(undefined);
  }

  override onFailed(errno: number): void {
    this.#settle?.(errnoName(errno));
  }

  /** Undefined once connected, else the OS code of what went wrong. */
  async wait(options: ConnectOptions): Promise<string | undefined> {
    const { signal, timeoutMs = CONNECT_TIMEOUT_MS } = options;
    const onAbort = (): void => this.#settle?.('ECANCELED');
    const settled = new Promise<string | undefined>((resolve) => {
      this.#settle = resolve;
    });
    const timer = setTimeout(() => this.#settle?.('ETIMEDOUT'), timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await settled;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }
}
