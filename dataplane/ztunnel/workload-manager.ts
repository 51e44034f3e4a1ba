import { closeNetns, netnsInode } from '../kernel/netns.ts';
import type { WorkloadIdentity } from './config.ts';
import type { ConnectionView } from './connection-tracker.ts';
import type { Logger } from './log.ts';
import type { ReadinessTask } from './readiness.ts';

/** What the manager starts and stops: the proxy (and DNS) of one pod. */
export interface ManagedProxy {
  connections(): ConnectionView[];
  renewTunnels(): void;
  stop(): void;
  drain(deadlineMs: number): Promise<void>;
}

export interface WorkloadManagerOptions {
  /**
   * Binds everything in the netns and owns the descriptor from then on.
   * @throws on failure; the descriptor is still the caller's then
   */
  readonly start: (identity: WorkloadIdentity, netns: number) => ManagedProxy;
  readonly log: Logger;
  readonly ready: ReadinessTask;
  /** Default 5,000. */
  readonly retryMs?: number;
}

/** The agent broke the protocol in a way that ends the process (`src/inpod/statemanager.rs`). */
export class ZdsProtocolError extends Error {
  override readonly name = 'ZdsProtocolError';
  readonly code = 'DATAPLANE_ZDS_PROTOCOL';
}

interface Running {
  readonly identity: WorkloadIdentity;
  readonly inode: number;
  readonly proxy: ManagedProxy;
}

interface Pending {
  readonly identity: WorkloadIdentity;
  readonly netns: number;
}

/** A workload as `/config_dump` shows it. */
export interface WorkloadStateView {
  readonly uid: string;
  readonly state: 'Up' | 'Pending';
  readonly identity: WorkloadIdentity;
  readonly connections: readonly ConnectionView[];
}

const SCOPE = 'inpod::statemanager';
const RETRY_MS = 5000;

/**
 * The pods this process proxies, as the agent tells (facts: ZDS, §3.3 of ztunnel's sheet). Proxies
 * outlive the connection to the agent; a new snapshot reconciles them.
 */
export class WorkloadManager {
  readonly #options: WorkloadManagerOptions;
  readonly #running = new Map<string, Running>();
  readonly #pending = new Map<string, Pending>();
  readonly #named = new Set<string>();
  #hasSnapshot = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: WorkloadManagerOptions) {
    this.#options = options;
  }

  /** A new connection to the agent: everything must be named again. */
  beginStream(): void {
    this.#hasSnapshot = false;
    this.#named.clear();
    this.#clearPending();
    this.#options.ready.reset();
  }

  /** The connection is gone: proxies run on, the process is not ready. */
  endStream(): void {
    this.beginStream();
  }

  /**
   * Starts the proxy of a pod; the descriptor is the manager's. The same pod in the same netns is a
   * no-op, in another netns it takes the place of the old proxy.
   * @throws the start's error: the pod is pending and tried again
   */
  add(uid: string, identity: WorkloadIdentity, netns: number): void {
    const inode = inodeOf(netns);
    if (!this.#hasSnapshot) this.#named.add(uid);
    const running = this.#running.get(uid);
    this.#dropPending(uid);
    if (running?.inode === inode) {
      closeNetns(netns);
      this.#updateReadiness();
      return;
    }
    if (running) this.#stop(uid, running);
    const { name, namespace } = identity;
    this.#options.log.info(SCOPE, 'pod received, starting proxy', { uid, name, namespace });
    try {
      this.#start(uid, identity, netns, inode);
    } catch (error) {
      this.#pending.set(uid, { identity, netns });
      this.#options.log.error(SCOPE, 'failed to start proxy', {
        uid,
        name,
        namespace,
        error: text(error),
      });
      this.#scheduleRetry();
      this.#updateReadiness();
      throw error;
    }
    this.#updateReadiness();
  }

  /** The pod is still wanted. @throws ZdsProtocolError after the snapshot */
  keep(uid: string): void {
    if (this.#hasSnapshot) throw new ZdsProtocolError('pod keep received after snapshot');
    this.#named.add(uid);
  }

  /** The pod is gone. Before the snapshot it is only taken off the list that the snapshot enforces. */
  delete(uid: string): void {
    const { log } = this.#options;
    log.info(SCOPE, 'pod delete request, shutting down proxy', { uid });
    this.#dropPending(uid);
    if (!this.#hasSnapshot) {
      this.#named.delete(uid);
      return;
    }
    const running = this.#running.get(uid);
    if (running) this.#stop(uid, running);
    else log.debug(SCOPE, 'pod delete request, but proxy not found', { uid });
    this.#updateReadiness();
  }

  /** Everything was named: what was not is stopped. @throws ZdsProtocolError the second time */
  snapshotSent(): void {
    if (this.#hasSnapshot) throw new ZdsProtocolError('pod snapshot received already');
    this.#options.log.info(SCOPE, 'received snapshot sent');
    for (const [uid, running] of [...this.#running]) {
      if (!this.#named.has(uid)) this.#stop(uid, running);
    }
    this.#hasSnapshot = true;
    this.#named.clear();
    this.#updateReadiness();
  }

  /** Pooled tunnels of every pod end with their streams; new requests open new ones. */
  renewTunnels(): void {
    for (const { proxy } of this.#running.values()) proxy.renewTunnels();
  }

  views(): WorkloadStateView[] {
    const up = [...this.#running].map(([uid, { identity, proxy }]) => {
      return { uid, identity, state: 'Up', connections: proxy.connections() } as const;
    });
    const pending = [...this.#pending].map(([uid, { identity }]) => {
      return { uid, identity, state: 'Pending', connections: [] } as const;
    });
    return [...up, ...pending];
  }

  /** Drains all proxies in parallel. */
  async drain(deadlineMs: number): Promise<void> {
    this.#clearPending();
    const proxies = [...this.#running.values()];
    this.#running.clear();
    await Promise.all(proxies.map(({ proxy }) => proxy.drain(deadlineMs)));
  }

  /** `netns` stays the caller's when this throws. */
  #start(uid: string, identity: WorkloadIdentity, netns: number, inode: number): void {
    const proxy = this.#options.start(identity, netns);
    this.#running.set(uid, { identity, inode, proxy });
  }

  #stop(uid: string, { proxy }: Running): void {
    this.#running.delete(uid);
    proxy.stop();
  }

  #scheduleRetry(): void {
    if (this.#retry || this.#pending.size === 0) return;
    this.#retry = setTimeout(() => this.#retryPending(), this.#options.retryMs ?? RETRY_MS);
  }

  #retryPending(): void {
    this.#retry = undefined;
    for (const [uid, { identity, netns }] of [...this.#pending]) {
      try {
        this.#start(uid, identity, netns, netnsInode(netns));
        this.#pending.delete(uid);
        this.#options.log.info(SCOPE, 'proxy started after retry', { uid });
      } catch (error) {
        this.#options.log.warn(SCOPE, 'proxy still cannot start', { uid, error: text(error) });
      }
    }
    this.#scheduleRetry();
    this.#updateReadiness();
  }

  #dropPending(uid: string): void {
    const pending = this.#pending.get(uid);
    if (!pending) return;
    this.#pending.delete(uid);
    closeNetns(pending.netns);
  }

  #clearPending(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    for (const uid of [...this.#pending.keys()]) this.#dropPending(uid);
  }

  #updateReadiness(): void {
    const isReady = this.#hasSnapshot && this.#pending.size === 0;
    if (isReady) this.#options.ready.complete();
    else this.#options.ready.reset();
  }
}

function inodeOf(netns: number): number {
  try {
    return netnsInode(netns);
  } catch (error) {
    closeNetns(netns);
    throw error;
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
