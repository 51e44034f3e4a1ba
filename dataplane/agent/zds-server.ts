import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { openNetns } from '../kernel/netns.ts';
import { SeqpacketListener } from '../kernel/seqpacket.ts';
import type { SeqpacketConnection } from '../kernel/seqpacket.ts';
import { closeFd } from '../kernel/sockets.ts';
import type { WorkloadInfo } from '../zds/zds.ts';
import type { ZtunnelConnectionStatus } from './api.ts';
import { ZtunnelRefusedError, ZtunnelUnavailableError } from './errors.ts';
import { ZtunnelConnection } from './ztunnel-connection.ts';

/** A pod as ztunnel is told of it. */
export interface ZdsWorkload {
  readonly uid: string;
  readonly info: WorkloadInfo;
  /** Descriptor of its netns, the caller's; absent when it is not known (Keep instead of Add). */
  readonly netns?: number | undefined;
}

/** What the server asks and tells while it sends a snapshot. */
export interface SnapshotSource {
  /** Every pod that belongs into a snapshot now. */
  uids(): readonly string[];
  /** The pod as it is at this moment; nothing when it has left meanwhile. */
  find(uid: string): ZdsWorkload | undefined;
  /** What ztunnel answered; no error for an ack. */
  answered(uid: string, error: Error | undefined): void;
}

export interface ZdsServerOptions {
  /** Path of the SOCK_SEQPACKET socket that ztunnel connects to. */
  readonly path: string;
  readonly source: SnapshotSource;
  readonly log: Logger;
  readonly deadlineMs?: number;
}

const DEADLINE_MS = 5000;
/** Upstream accepts five connections a second (`cni/pkg/nodeagent/ztunnelserver.go`). */
const ACCEPT_INTERVAL_MS = 200;
const ACCEPT_BURST_MS = 1000;
const MAX_PACKET_BYTES = 4096;

/**
 * The agent's side of ZDS: each ztunnel that connects gets a snapshot of all pods, then changes as
 * they come: additions go to the newest ztunnel alone, removals to all (an old one drains).
 */
export class ZdsServer implements Disposable {
  readonly #listener: SeqpacketListener;
  readonly #options: ZdsServerOptions;
  /** Those that have said hello, oldest first, with the end of each one's snapshot. */
  readonly #peers = new Map<ZtunnelConnection, Promise<void>>();
  readonly #strangers = new Set<ZtunnelConnection>();
  #nextId = 1;
  #acceptAtMs = 0;

  /** @throws {KernelError} EADDRINUSE when the path is no socket */
  constructor(options: ZdsServerOptions) {
    this.#options = options;
    this.#listener = new SeqpacketListener(options.path, { maxReadBytes: MAX_PACKET_BYTES });
    this.#listener.on('error', (error) => options.log.error({ err: error }, 'ZDS accept failed'));
    this.#listener.on('connection', (socket) => void this.#admit(socket));
  }

  /** Whether a ztunnel has its snapshot. */
  get isConnected(): boolean {
    return [...this.#peers.keys()].some((peer) => peer.phase === 'live');
  }

  get connections(): readonly ZtunnelConnectionStatus[] {
    return [...this.#strangers, ...this.#peers.keys()].map((peer) => peer.status);
  }

  /**
   * Tells the newest ztunnel of a pod and waits for its ack (after its snapshot, if one is on).
   * @throws {ZtunnelUnavailableError} when there is none, or it breaks off: retry
   * @throws {ZtunnelRefusedError} when it answers with an error
   */
  async add(workload: ZdsWorkload): Promise<void> {
    const newest = [...this.#peers].at(-1);
    if (newest === undefined) {
      throw new ZtunnelUnavailableError(`add workload "${workload.uid}"`, 'no ztunnel');
    }
    const [peer, snapshotEnd] = newest;
    using held = hold(workload);
    await snapshotEnd;
    await send(peer, held);
  }

  /**
   * Tells every ztunnel that the pod is gone and waits for all acks; with none there is nothing to
   * wait for: whoever connects later gets a snapshot without it.
   * @throws the first failure, after all have answered
   */
  async del(uid: string): Promise<void> {
    const answers = await Promise.allSettled(
      [...this.#peers].map(async ([peer, snapshotEnd]) => {
        await snapshotEnd;
        await peer.request({ kind: 'del', uid });
      }),
    );
    const failure = answers.find((answer) => answer.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  /** Stops listening, removes the socket, ends all connections; ztunnels keep their pods. */
  [Symbol.dispose](): void {
    this.#listener.close();
    for (const peer of [...this.#strangers, ...this.#peers.keys()]) peer.close('the agent ends');
  }

  async #admit(socket: SeqpacketConnection): Promise<void> {
    const now = performance.now();
    this.#acceptAtMs = Math.max(this.#acceptAtMs, now) + ACCEPT_INTERVAL_MS;
    const waitMs = this.#acceptAtMs - now - ACCEPT_BURST_MS;
    if (waitMs > 0) await sleep(waitMs, undefined, { ref: false });
    const { log, deadlineMs } = this.#options;
    const peer = new ZtunnelConnection(socket, {
      id: this.#nextId++,
      deadlineMs: deadlineMs ?? DEADLINE_MS,
    });
    this.#strangers.add(peer);
    void peer.closed.then((reason) => {
      this.#strangers.delete(peer);
      if (this.#peers.delete(peer)) log.info({ ztunnel: peer.id, reason }, 'ztunnel disconnected');
    });
    try {
      const version = await peer.hello();
      log.info({ ztunnel: peer.id, version }, 'ztunnel connected');
      this.#strangers.delete(peer);
      const snapshotEnd = this.#sendSnapshot(peer);
      // Requests that wait for the snapshot fail by themselves when it does.
      this.#peers.set(
        peer,
        snapshotEnd.catch(() => {}),
      );
      await snapshotEnd;
    } catch (error) {
      log.warn({ ztunnel: peer.id, err: error }, 'ztunnel did not take its snapshot');
      peer.close(error instanceof Error ? error.message : String(error));
    }
  }

  async #sendSnapshot(peer: ZtunnelConnection): Promise<void> {
    const { source, log } = this.#options;
    peer.phase = 'snapshot';
    const uids = source.uids();
    for (const uid of uids) {
      const workload = source.find(uid);
      if (workload === undefined) continue;
      using held = hold(workload);
      try {
        await send(peer, held);
        source.answered(uid, undefined);
      } catch (error) {
        if (!(error instanceof ZtunnelRefusedError)) throw error;
        log.error({ uid, err: error }, 'ztunnel refused a pod of the snapshot');
        source.answered(uid, error);
      }
    }
    await peer.request({ kind: 'snapshotSent' });
    peer.phase = 'live';
    log.info({ ztunnel: peer.id, pods: uids.length }, 'snapshot sent');
  }
}

/**
 * The workload with a descriptor of its own: the pod may leave, and the number of its descriptor be
 * used again, while a request waits for its turn.
 */
function hold(workload: ZdsWorkload): ZdsWorkload & Disposable {
  const { netns } = workload;
  if (netns === undefined) return { ...workload, [Symbol.dispose]: () => {} };
  const own = openNetns(`/proc/self/fd/${netns}`);
  return { ...workload, netns: own, [Symbol.dispose]: () => closeFd(own) };
}

async function send(peer: ZtunnelConnection, workload: ZdsWorkload): Promise<void> {
  const { uid, info, netns } = workload;
  if (netns === undefined) await peer.request({ kind: 'keep', uid });
  else await peer.request({ kind: 'add', uid, workloadInfo: info }, [netns]);
}
