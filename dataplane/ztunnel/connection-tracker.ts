import { type Endpoint, formatEndpoint } from './address.ts';
import type { Logger } from './log.ts';
import { policyChanged } from './proxy-error.ts';
import { evaluateRbac, type RbacConnection } from './rbac.ts';
import type { MeshState } from './state/mesh-state.ts';
import type { Workload } from './state/workload.ts';

/** A connection as `/config_dump` shows it. */
export interface ConnectionView {
  readonly direction: 'inbound' | 'outbound';
  readonly source: Endpoint;
  /** Service name or address the client wanted, when it is known. */
  readonly originalDestination?: string;
  readonly actualDestination: Endpoint;
  readonly protocol: 'HBONE' | 'TCP' | 'DOUBLEHBONE';
}

/** What policies are asked again when they change; the workload is as it was at connect time. */
export interface PolicySubject {
  readonly destination: Workload;
  readonly connection: RbacConnection;
}

/** A live connection. Disposing it says that it ended. */
export interface TrackedConnection extends Disposable {
  /** Aborted with a ProxyError when the connection must be cut. */
  readonly signal: AbortSignal;
  /** Adds what becomes known after the connection was accepted. */
  describe(view: ConnectionView, subject?: PolicySubject): void;
}

interface Entry {
  readonly abort: AbortController;
  view?: ConnectionView;
  subject?: PolicySubject;
}

/**
 * The live connections of one workload: cut when a policy change denies them (ztunnel
 * `src/proxy/connection_manager.rs`) or when the proxy stops, listed for `/config_dump`.
 */
export class ConnectionTracker {
  readonly #entries = new Set<Entry>();
  readonly #log: Logger;
  #whenIdle: (() => void)[] = [];

  constructor(log: Logger) {
    this.#log = log;
  }

  get size(): number {
    return this.#entries.size;
  }

  track(): TrackedConnection {
    const entry: Entry = { abort: new AbortController() };
    this.#entries.add(entry);
    return {
      signal: entry.abort.signal,
      describe: (view, subject) => Object.assign(entry, { view, subject }),
      [Symbol.dispose]: () => this.#remove(entry),
    };
  }

  /** Connections of which source and destination are known. */
  views(): ConnectionView[] {
    return [...this.#entries].flatMap(({ view }) => view ?? []);
  }

  /** Judges inbound connections again and cuts those that are denied now. */
  recheck(state: MeshState): void {
    for (const { abort, subject, view } of this.#entries) {
      if (!subject || abort.signal.aborted) continue;
      const policies = state.policiesFor(subject.destination);
      if (evaluateRbac(policies, subject.connection).kind === 'allowed') continue;
      abort.abort(policyChanged());
      const name = view
        ? `${formatEndpoint(view.source)}->${formatEndpoint(view.actualDestination)}`
        : formatEndpoint(subject.connection.source);
      const message = `${name} closed because it's no longer allowed after a policy update`;
      this.#log.info('proxy::connection_manager', message);
    }
  }

  /** Cuts every connection for that reason. */
  cutAll(reason: Error): void {
    for (const { abort } of this.#entries) abort.abort(reason);
  }

  /** Settles when no connection is left. */
  async idle(): Promise<void> {
    if (this.#entries.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle.push(resolve);
    });
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry);
    if (this.#entries.size > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }
}
