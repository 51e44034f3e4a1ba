import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { build, type Histogram } from 'hdr-histogram-js';
import {
  REQUEST,
  RESPONSE_BYTES,
  WARM_UP_MS,
  type LoadOrder,
  type LoadResult,
} from './load-order.ts';

/**
 * Open loop: requests leave when they are due, whatever became of those before. A request counts
 * from the moment it is due; if its connection is busy it waits there, and that wait counts.
 */
export async function latencyLoad(order: LoadOrder, start: () => void): Promise<LoadResult> {
  const lanes: Lane[] = [];
  for (let i = 0; i < order.connections; i++) lanes.push(await Lane.open(order));
  await pace(order, lanes, WARM_UP_MS);
  const histogram = build({ lowestDiscernibleValue: 1, numberOfSignificantValueDigits: 3 });
  for (const lane of lanes) lane.histogram = histogram;
  start();
  const startedAt = performance.now();
  await pace(order, lanes, order.seconds * 1_000);
  const seconds = (performance.now() - startedAt) / 1_000;
  for (const lane of lanes) await lane.settled();
  const failures = lanes.filter((lane) => lane.hasFailed).length;
  return {
    done: histogram.totalCount,
    seconds,
    failures,
    p50Us: histogram.getValueAtPercentile(50),
    p99Us: histogram.getValueAtPercentile(99),
  };
}

/** Sends each request at its time for `ms` milliseconds, the lanes in turn. */
async function pace(order: LoadOrder, lanes: readonly Lane[], ms: number): Promise<void> {
  const intervalMs = 1_000 / (order.rate ?? 1_000);
  const startedAt = performance.now();
  const total = Math.floor(ms / intervalMs);
  for (let sent = 0; sent < total;) {
    const elapsed = performance.now() - startedAt;
    for (; sent < total && sent * intervalMs <= elapsed; sent++)
      lanes[sent % lanes.length]!.request();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

class Lane {
  histogram: Histogram | undefined;
  hasFailed = false;
  readonly #socket: Socket;
  /** When each unanswered request was due, oldest first. */
  readonly #due: number[] = [];
  #received = 0;

  static async open(order: LoadOrder): Promise<Lane> {
    const socket = connect({ host: order.host, port: order.port, noDelay: true });
    await once(socket, 'connect');
    return new Lane(socket);
  }

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => (this.hasFailed = true));
    socket.on('data', (bytes: Buffer) => this.#onBytes(bytes.length));
  }

  request(): void {
    this.#due.push(performance.now());
    if (this.#due.length === 1) this.#socket.write(REQUEST);
  }

  async settled(): Promise<void> {
    for (let i = 0; i < 100 && this.#due.length > 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    this.hasFailed ||= this.#due.length > 0;
    this.#socket.destroy();
  }

  #onBytes(bytes: number): void {
    this.#received += bytes;
    if (this.#received < RESPONSE_BYTES) return;
    this.#received -= RESPONSE_BYTES;
    const due = this.#due.shift();
    if (due !== undefined)
      this.histogram?.recordValue(Math.round((performance.now() - due) * 1_000));
    if (this.#due.length > 0) this.#socket.write(REQUEST);
  }
}
