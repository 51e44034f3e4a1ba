import { errnoName, type Engine } from '../kernel/engine.ts';
import type { Listener, ListenOptions, TcpConnection } from './api.ts';
import { ChannelError } from './errors.ts';
import { IgnoringHandler, tuneSlot } from './slots.ts';
import { TcpSocket } from './tcp-socket.ts';

/** After a failed accept (EMFILE) the listener rests, or it would fail again at once. */
const REST_MS = 100;

/** A listening slot. */
export class TcpListener extends IgnoringHandler implements Listener {
  readonly fd: number;
  readonly #engine: Engine;
  readonly #slot: number;
  readonly #onConnection: (connection: TcpConnection) => void;
  readonly #options: ListenOptions;
  #rest: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** Takes over `fd` and accepts from now on. */
  constructor(
    engine: Engine,
    fd: number,
    onConnection: (connection: TcpConnection) => void,
    options: ListenOptions,
  ) {
    super();
    this.#engine = engine;
    this.fd = fd;
    this.#onConnection = onConnection;
    this.#options = options;
    this.#slot = engine.adopt(fd, true, this);
    tuneSlot(engine, this.#slot, options.keepalive);
    engine.read(this.#slot, true);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#rest);
    this.#engine.close(this.#slot, false);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  override onAccept(slot: number): void {
    const connection = new TcpSocket(this.#engine, slot);
    try {
      this.#onConnection(connection);
    } catch (error) {
      connection.reset();
      throw error;
    }
  }

  override onAcceptFailed(errno: number): void {
    if (this.#isClosed) return;
    this.#engine.read(this.#slot, false);
    this.#rest = setTimeout(() => {
      if (!this.#isClosed) this.#engine.read(this.#slot, true);
    }, REST_MS);
    this.#options.onAcceptError?.(new ChannelError(errnoName(errno)));
  }
}
