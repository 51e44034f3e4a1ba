import { errnoName, type Engine, type SlotHandler } from '../kernel/engine.ts';
import type { ConnectOptions, SocketAddress } from './api.ts';
import { TcpConnectError } from './errors.ts';
import { IGNORING_HANDLER, tuneSlot } from './slots.ts';
import { TcpSocket } from './tcp-socket.ts';

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Connects the socket `fd`, which the engine owns from here on.
 * @throws TcpConnectError; the descriptor is closed then
 */
export function connectSocket(
  engine: Engine,
  fd: number,
  address: SocketAddress,
  options: ConnectOptions,
): Promise<TcpSocket> {
  return new Promise((resolve, reject) => {
    const { signal } = options;
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    const fail = (osCode: string, isOpen: boolean): void => {
      settle();
      if (isOpen) engine.close(slot, false);
      reject(new TcpConnectError(address, osCode));
    };
    const onAbort = (): void => fail('ECANCELED', true);
    const handler: SlotHandler = {
      ...IGNORING_HANDLER,
      onConnected: () => {
        settle();
        tuneSlot(engine, slot, options.keepalive);
        resolve(new TcpSocket(engine, slot));
      },
      onFailed: (errno) => fail(errnoName(errno), true),
    };
    let timer: NodeJS.Timeout | undefined;
    const slot = engine.connect(fd, address.ip, address.port, handler);
    if (slot < 0) return fail(errnoName(-slot), false);
    timer = setTimeout(() => fail('ETIMEDOUT', true), options.timeoutMs ?? CONNECT_TIMEOUT_MS);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
  });
}
