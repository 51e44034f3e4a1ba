import type { Histogram } from 'hdr-histogram-js';
import { createDataPath } from '../../../dataplane/hbone/data-path.ts';
import { realtimeNs } from '../../../dataplane/kernel/process.ts';
import { createHistogram, packHistogram, recordMs } from '../histogram.ts';
import { HttpLane, type LaneOwner } from './http-lane.ts';
import type { LatencyResult, OpenLoopOrder } from './load-order.ts';
import { keepPace } from './pacer.ts';
import type { WindowOf } from './window.ts';

/** How long answers that are still out are waited for after the window. */
const SETTLE_MS = 3_000;
const LOOK_MS = 5;

/** A request on its way or waiting for its connection. */
interface Asked {
  readonly dueMs: number;
  sentMs: number;
  /** Unix time; of traced requests. */
  sentNs: bigint;
}

/**
 * Open loop: the requests of the connections in turn, each due at its time, whatever became of those
 * before. A request counts from the moment it was due; when its connection is busy it waits there,
 * and that wait counts.
 */
export async function openLoad(order: OpenLoopOrder, window: WindowOf): Promise<LoadOutcome> {
  using path = createDataPath();
  const measured = new Measured(order.isTraced === true);
  const lanes = await Promise.all(
    Array.from({ length: order.connections }, () => PacedLane.open(path, order, measured)),
  );
  const ask = (index: number, dueMs: number): void => lanes[index % lanes.length]!.ask(dueMs);
  const pace = (ms: number): Promise<void> =>
    keepPace({ rate: order.rate, count: Math.floor((order.rate * ms) / 1_000), onDue: ask });
  await pace(order.warmUpMs);
  const timed = await window(async () => {
    measured.sinceMs = performance.now();
    await pace(order.windowMs);
    return measured.intended.totalCount;
  });
  const deadline = performance.now() + SETTLE_MS;
  const isWaiting = (): boolean => lanes.some((lane) => lane.waiting(measured.sinceMs) > 0);
  while (isWaiting() && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  const unanswered = lanes.reduce((sum, lane) => sum + lane.waiting(measured.sinceMs), 0);
  for (const lane of lanes) lane.close();
  return {
    ...timed,
    failures: unanswered + measured.failures,
    latency: measured.result(),
  };
}

export interface LoadOutcome {
  readonly done: number;
  readonly seconds: number;
  readonly clientCpuSeconds: number;
  readonly failures: number;
  readonly latency?: LatencyResult;
}

/** Latencies of the requests that were due since `sinceMs`. */
class Measured {
  sinceMs = Number.POSITIVE_INFINITY;
  failures = 0;
  readonly intended: Histogram = createHistogram();
  readonly #sent: Histogram = createHistogram();
  readonly #lateness: Histogram = createHistogram();
  readonly #trace: (readonly [string, string])[] = [];
  readonly isTraced: boolean;

  constructor(isTraced: boolean) {
    this.isTraced = isTraced;
  }

  record({ dueMs, sentMs, sentNs }: Asked): void {
    if (dueMs < this.sinceMs) return;
    if (this.isTraced) this.#trace.push([String(sentNs), String(realtimeNs())]);
    const now = performance.now();
    recordMs(this.intended, now - dueMs);
    recordMs(this.#sent, now - sentMs);
  }

  recordLateness({ dueMs, sentMs }: Asked): void {
    if (dueMs >= this.sinceMs) recordMs(this.#lateness, sentMs - dueMs);
  }

  result(): LatencyResult {
    return {
      intended: packHistogram(this.intended),
      sent: packHistogram(this.#sent),
      lateness: packHistogram(this.#lateness),
      ...(this.isTraced && { trace: this.#trace }),
    };
  }
}

class PacedLane implements LaneOwner {
  readonly #measured: Measured;
  /** Oldest first; the first of them is on its way. */
  readonly #asked: Asked[] = [];
  #lane!: HttpLane;

  private constructor(measured: Measured) {
    this.#measured = measured;
  }

  static async open(
    path: ReturnType<typeof createDataPath>,
    order: OpenLoopOrder,
    measured: Measured,
  ): Promise<PacedLane> {
    const lane = new PacedLane(measured);
    lane.#lane = await HttpLane.open(path, order, lane);
    return lane;
  }

  ask(dueMs: number): void {
    const asked = { dueMs, sentMs: 0, sentNs: 0n };
    if (this.#lane.isBroken) return this.#lose([asked]);
    this.#asked.push(asked);
    if (this.#asked.length > 1) return;
    this.#send(asked);
    this.#measured.recordLateness(asked);
  }

  /** Requests due since then that have no answer. */
  waiting(sinceMs: number): number {
    return this.#asked.filter(({ dueMs }) => dueMs >= sinceMs).length;
  }

  onAnswer(): void {
    const answered = this.#asked.shift();
    if (answered !== undefined) this.#measured.record(answered);
    if (this.#asked[0] !== undefined) this.#send(this.#asked[0]);
  }

  onBroken(): void {
    this.#lose(this.#asked.splice(0));
  }

  close(): void {
    this.#lane.close();
  }

  #send(asked: Asked): void {
    asked.sentMs = performance.now();
    if (this.#measured.isTraced) asked.sentNs = realtimeNs();
    this.#lane.ask();
  }

  #lose(lost: readonly Asked[]): void {
    this.#measured.failures += lost.filter(({ dueMs }) => dueMs >= this.#measured.sinceMs).length;
  }
}
