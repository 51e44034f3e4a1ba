import { realtimeNs } from '../kernel/process.ts';
import type { TunnelInfo } from '../hbone/api.ts';
import {
  type AccessContext,
  type Direction,
  logComplete,
  logEarlyDeny,
  logOpened,
} from './access-log.ts';
import { type Endpoint, formatEndpoint } from './address.ts';
import type { LegEntry } from './leg-log.ts';
import type { LegRecord } from './leg-record.ts';
import { ioError, ProxyError } from './proxy-error.ts';
import type { ProxyContext } from './proxy-context.ts';

/** How a connection ended; bytes as its proxy sees them. */
export interface ConnectionEnd {
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly error?: Error;
}

/** The accepted side of a connection. */
export interface AcceptedAddresses {
  readonly peer: Endpoint;
  readonly local: Endpoint;
}

type LegDirection = LegRecord['direction'];

/**
 * Guarantees one access log line and one leg record for each connection, whatever way it ends. What
 * is known of the connection is added as it becomes known.
 */
export class ConnectionReport {
  readonly #proxy: ProxyContext;
  readonly #leg: LegDirection;
  readonly #accepted: AcceptedAddresses;
  readonly #destination: Endpoint;
  readonly #startedMs = performance.now();
  readonly #openedNs: bigint | undefined;
  readonly #id: string | undefined;
  #access: AccessContext | undefined;
  #isClosed = false;
  originalDestination: string;
  traceparent: string | undefined;
  tunnel: TunnelInfo | undefined;
  upstream: { readonly local: Endpoint; readonly peer: Endpoint } | undefined;

  /** `destination`: original destination, where the accepted socket's own address is not it. */
  constructor(
    proxy: ProxyContext,
    leg: LegDirection,
    accepted: AcceptedAddresses,
    destination = accepted.local,
  ) {
    this.#proxy = proxy;
    this.#leg = leg;
    this.#accepted = accepted;
    this.#destination = destination;
    this.originalDestination = formatEndpoint(destination);
    this.#openedNs = proxy.legs && realtimeNs();
    this.#id = proxy.legs?.open(() => this.#describeLeg());
  }

  /** The context is known: from now on the end is a `connection complete`. */
  open(access: AccessContext): void {
    this.#access = access;
    logOpened(this.#proxy.log, access);
  }

  /** Writes the lines once; later calls do nothing. */
  close(end: ConnectionEnd): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const error = end.error && errorText(end.error);
    const { bytesSent, bytesReceived } = end;
    const durationMs = performance.now() - this.#startedMs;
    if (this.#access) {
      const result = { bytesSent, bytesReceived, durationMs, error };
      logComplete(this.#proxy.log, this.#access, result);
    } else {
      const direction: Direction = this.#leg === 'outbound' ? 'outbound' : 'inbound';
      const { peer } = this.#accepted;
      logEarlyDeny(this.#proxy.log, direction, peer, this.#destination, error ?? '');
    }
    if (this.#id === undefined) return;
    this.#proxy.legs?.close(this.#id, { ...this.#describeLeg(), bytesSent, bytesReceived, error });
  }

  /** The end by a failure before any byte was carried. */
  fail(error: unknown): void {
    const cause = error instanceof Error ? error : new Error(String(error));
    this.close({ bytesSent: 0, bytesReceived: 0, error: cause });
  }

  #describeLeg(): LegEntry {
    const { identity, isNodeLevel } = this.#proxy;
    const { peer, local } = this.#accepted;
    const { tunnel, upstream } = this;
    return {
      pod: `${identity.namespace}/${identity.name}`,
      ...(isNodeLevel === true && { sockets: 'ztunnel' as const }),
      direction: this.#leg,
      openedNs: String(this.#openedNs),
      closedNs: String(realtimeNs()),
      accepted: { peer: formatEndpoint(peer), local: formatEndpoint(local) },
      originalDestination: this.originalDestination,
      tunnel: tunnel && {
        local: formatEndpoint(tunnel.local),
        remote: formatEndpoint(tunnel.remote),
        stream: tunnel.streamId,
      },
      upstream: upstream && {
        local: formatEndpoint(upstream.local),
        remote: formatEndpoint(upstream.peer),
      },
      traceparent: this.traceparent,
    };
  }
}

function errorText(error: Error): string {
  if (error instanceof ProxyError || error.message.startsWith('h2 failed: ')) return error.message;
  return 'osCode' in error ? ioError(error).message : error.message;
}
