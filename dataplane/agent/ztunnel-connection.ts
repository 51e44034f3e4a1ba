import type { SeqpacketConnection, SeqpacketMessage } from '../kernel/seqpacket.ts';
import { closeFd } from '../kernel/sockets.ts';
import type { WorkloadRequest } from '../zds/zds.ts';
import { decodeHello, decodeWorkloadResponse, encodeWorkloadRequest } from '../zds/zds.ts';
import type { ZtunnelConnectionStatus } from './api.ts';
import { ZtunnelRefusedError, ZtunnelUnavailableError } from './errors.ts';

interface Waiting {
  readonly onPacket: (packet: Buffer) => void;
  readonly onEnd: (reason: string) => void;
}

export interface ZtunnelConnectionOptions {
  readonly id: number;
  /** Longest wait for a hello, and for the ack of each request. */
  readonly deadlineMs: number;
}

/**
 * The agent's end of one ZDS connection: one request at a time, each acked before the next is sent.
 * Whatever breaks the conversation (deadline, bytes that are no ZDS, an answer without a question)
 * closes it; ztunnel connects again and gets a new snapshot.
 */
export class ZtunnelConnection implements Disposable {
  readonly id: number;
  /** Resolves once, when the connection is over, with the reason. */
  readonly closed: Promise<string>;
  phase: ZtunnelConnectionStatus['phase'] = 'hello';
  acked = 0;
  readonly #socket: SeqpacketConnection;
  readonly #deadlineMs: number;
  #waiting: Waiting | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  #endReason = 'ztunnel closed the connection';
  /** A packet that came before anybody asked: the hello may be there first. */
  #early: Buffer | undefined;
  #hasSpoken = false;

  constructor(socket: SeqpacketConnection, options: ZtunnelConnectionOptions) {
    this.id = options.id;
    this.#socket = socket;
    this.#deadlineMs = options.deadlineMs;
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#waiting?.onEnd(this.#endReason);
        resolve(this.#endReason);
      });
    });
    socket.on('error', (error) => (this.#endReason = String(error)));
    socket.on('message', (message) => this.#onMessage(message));
  }

  get isClosed(): boolean {
    return this.#socket.isClosed;
  }

  get status(): ZtunnelConnectionStatus {
    return { id: this.id, phase: this.phase, acked: this.acked };
  }

  /**
   * Waits for the hello that opens the conversation and gives its version.
   * @throws {ZtunnelUnavailableError} when it does not come, or is none
   */
  async hello(): Promise<number> {
    const packet = await this.#nextPacket('read the hello of ztunnel', async () => {});
    return this.#decoded('read the hello of ztunnel', () => decodeHello(packet).version);
  }

  /**
   * Sends one request when those before it are acked, and waits for its ack.
   * @throws {ZtunnelRefusedError} when ztunnel answers with an error; the connection stays
   * @throws {ZtunnelUnavailableError} when it does not answer; the connection is closed then
   */
  async request(request: WorkloadRequest, fds: readonly number[] = []): Promise<void> {
    const action = describe(request);
    const turn = this.#tail.then(() => this.#exchange(action, request, fds));
    this.#tail = turn.catch(() => {});
    await turn;
  }

  close(reason: string): void {
    if (!this.#socket.isClosed) this.#endReason = reason;
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close('closed by the agent');
  }

  async #exchange(action: string, request: WorkloadRequest, fds: readonly number[]): Promise<void> {
    const packet = await this.#nextPacket(action, () =>
      this.#socket.send(encodeWorkloadRequest(request), fds),
    );
    const { error } = this.#decoded(action, () => decodeWorkloadResponse(packet));
    this.acked += 1;
    if (error !== '') throw new ZtunnelRefusedError(action, error);
  }

  async #nextPacket(action: string, send: () => Promise<void>): Promise<Buffer> {
    if (this.#socket.isClosed) throw new ZtunnelUnavailableError(action, this.#endReason);
    const early = this.#early;
    this.#early = undefined;
    if (early !== undefined) return early;
    const state = `no answer within ${this.#deadlineMs} ms`;
    const timer = setTimeout(() => this.close(state), this.#deadlineMs);
    try {
      return await new Promise<Buffer>((resolve, reject) => {
        this.#waiting = {
          onPacket: resolve,
          onEnd: (reason) => reject(new ZtunnelUnavailableError(action, reason)),
        };
        send().catch((error: unknown) => this.close(String(error)));
      });
    } finally {
      this.#waiting = undefined;
      clearTimeout(timer);
    }
  }

  #onMessage(message: SeqpacketMessage): void {
    // Descriptors only ever go the other way; kept, they would pile up.
    for (const fd of message.fds) closeFd(fd);
    const waiting = this.#waiting;
    const isFirst = !this.#hasSpoken;
    this.#waiting = undefined;
    this.#hasSpoken = true;
    if (waiting !== undefined) waiting.onPacket(message.data);
    else if (isFirst) this.#early = message.data;
    else this.close('ztunnel answered what nobody asked');
  }

  #decoded<T>(action: string, decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      const state = error instanceof Error ? error.message : String(error);
      this.close(state);
      throw new ZtunnelUnavailableError(action, state);
    }
  }
}

function describe(request: WorkloadRequest): string {
  return request.kind === 'snapshotSent'
    ? 'end the snapshot'
    : `${request.kind} workload "${request.uid}"`;
}
