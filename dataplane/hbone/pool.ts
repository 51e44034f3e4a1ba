import { setMaxListeners } from 'node:events';
import type {
  ConnectRequest,
  HbonePool,
  HbonePoolKey,
  HbonePoolOptions,
  HboneStream,
} from './api.ts';
import { formatAddress } from './address.ts';
import type { ClientConnection } from './client-connection.ts';
import { HboneClosedError } from './errors.ts';

const DEFAULT_MAX_STREAMS = 100;
const DEFAULT_IDLE_MS = 300_000;

/** Makes one connection that is up: TCP, TLS, the peer's SETTINGS. */
export type MakeConnection = (key: HbonePoolKey, signal: AbortSignal) => Promise<ClientConnection>;

/** The connections that serve one key. */
interface Place {
  readonly available: Set<ClientConnection>;
  /** The one attempt under way; others wait for it. */
  attempt: Promise<unknown> | undefined;
}

/**
 * HBONE connections of one workload, shared by key (`facts/ztunnel.md` §2.7). A connection that
 * reached its limit of streams leaves the pool for good, as in the genuine ztunnel.
 */
export class ConnectionPool implements HbonePool {
  readonly #make: MakeConnection;
  readonly #maxStreams: number;
  readonly #idleMs: number;
  readonly #places = new Map<string, Place>();
  readonly #connections = new Set<ClientConnection>();
  readonly #timers = new Map<ClientConnection, NodeJS.Timeout>();
  readonly #abort = new AbortController();
  #attempts = 0;
  #isDraining = false;

  constructor(make: MakeConnection, options: HbonePoolOptions) {
    this.#make = make;
    this.#maxStreams = options.maxStreamsPerConnection ?? DEFAULT_MAX_STREAMS;
    this.#idleMs = options.idleReleaseMs ?? DEFAULT_IDLE_MS;
    // Every attempt under way listens; that many is no leak.
    setMaxListeners(0, this.#abort.signal);
  }

  get connectionCount(): number {
    return this.#connections.size + this.#attempts;
  }

  async connect(key: HbonePoolKey, request: ConnectRequest): Promise<HboneStream> {
    const name = nameOf(key);
    for (;;) {
      if (this.#isDraining) throw new HboneClosedError('pool draining');
      if (request.signal?.aborted) throw new HboneClosedError('connect aborted');
      const place = this.#place(name);
      const connection = this.#checkOut(place);
      if (connection !== undefined) return connection.connect(request);
      // Waiters look again: the new connection may have room for them or be full already.
      if (place.attempt !== undefined) {
        await place.attempt;
        continue;
      }
      const made = await this.#grow(key, name, place);
      // A peer that greets and leaves would be dialled for ever: its refusal is the answer.
      if (!made.isUsable && !this.#isDraining) return made.connect(request);
    }
  }

  renew(): void {
    for (const place of this.#places.values()) place.available.clear();
    for (const connection of this.#connections) this.#retire(connection);
  }

  drain(): void {
    this.#isDraining = true;
    this.#abort.abort();
    this.renew();
    this.#places.clear();
  }

  [Symbol.dispose](): void {
    this.#isDraining = true;
    this.#abort.abort();
    for (const connection of [...this.#connections]) connection.close();
    this.#places.clear();
  }

  #place(name: string): Place {
    let place = this.#places.get(name);
    if (place === undefined) {
      place = { available: new Set(), attempt: undefined };
      this.#places.set(name, place);
    }
    return place;
  }

  #checkOut(place: Place): ClientConnection | undefined {
    for (const connection of place.available) {
      if (!connection.isUsable) {
        place.available.delete(connection);
        continue;
      }
      const limit = Math.min(this.#maxStreams, connection.peerMaxStreams);
      if (connection.activeStreams + 1 >= limit) {
        place.available.delete(connection);
        // After this stream is opened by the caller, in this very turn.
        queueMicrotask(() => this.#retire(connection));
      } else {
        this.#touch(place, connection);
      }
      return connection;
    }
    return undefined;
  }

  async #grow(key: HbonePoolKey, name: string, place: Place): Promise<ClientConnection> {
    const making = this.#make(key, this.#abort.signal);
    place.attempt = making.catch(() => undefined);
    this.#attempts++;
    try {
      const connection = await making;
      if (this.#isDraining) {
        connection.close();
        return connection;
      }
      this.#connections.add(connection);
      place.available.add(connection);
      this.#touch(place, connection);
      void connection.closed.then(() => this.#forget(name, place, connection));
      return connection;
    } finally {
      this.#attempts--;
      place.attempt = undefined;
      this.#dropIfEmpty(name, place);
    }
  }

  /** Starts the time after which nobody has asked for the connection. */
  #touch(place: Place, connection: ClientConnection): void {
    const timer = this.#timers.get(connection);
    if (timer !== undefined) {
      timer.refresh();
      return;
    }
    const made = setTimeout(() => {
      place.available.delete(connection);
      this.#retire(connection);
    }, this.#idleMs);
    made.unref();
    this.#timers.set(connection, made);
  }

  #retire(connection: ClientConnection): void {
    clearTimeout(this.#timers.get(connection));
    this.#timers.delete(connection);
    connection.retire();
  }

  #forget(name: string, place: Place, connection: ClientConnection): void {
    clearTimeout(this.#timers.get(connection));
    this.#timers.delete(connection);
    this.#connections.delete(connection);
    place.available.delete(connection);
    this.#dropIfEmpty(name, place);
  }

  #dropIfEmpty(name: string, place: Place): void {
    const isEmpty = place.available.size === 0 && place.attempt === undefined;
    if (isEmpty && this.#places.get(name) === place) this.#places.delete(name);
  }
}

function nameOf(key: HbonePoolKey): string {
  const { sourceIdentity, destinationIdentities, destination, sourceIp } = key;
  return [sourceIdentity, sourceIp, formatAddress(destination), ...destinationIdentities].join(
    '\n',
  );
}
