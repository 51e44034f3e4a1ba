import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { countUpTo, unpackHistogram } from '../../lab/bench/histogram.ts';
import type { LoadOrder } from '../../lab/bench/load/load-order.ts';
import { LoadError } from '../../lab/bench/mesh/load-client.ts';
import { HTTP_PORT, SINK_PORT, startLoadTarget } from '../support/load-target.ts';

t.setTimeout(120_000);

const PACE = {
  kind: 'open-loop',
  host: '127.0.0.1',
  port: HTTP_PORT,
  connections: 2,
  rate: 400,
  warmUpMs: 100,
} as const;
const quiet = { onOpened: () => undefined, onClosed: () => undefined };

/** How many values of a packed histogram are above so many milliseconds. */
function countAbove(packed: string, ms: number): number {
  const histogram = unpackHistogram(packed);
  return histogram.totalCount - countUpTo(histogram, ms * 1_000);
}

t.test('the load generator shows a server that stalls, where a closed loop hides it', async (t) => {
  await using target = await startLoadTarget();
  const stallMs = 600;
  const windowMs = 2_000;
  const stalled = async (): Promise<void> => {
    await sleep(200);
    target.app.kill('SIGSTOP');
    await sleep(stallMs);
    target.app.kill('SIGCONT');
  };
  let stall = Promise.resolve();
  const result = await target.load.run(
    { ...PACE, windowMs },
    { onOpened: () => void (stall = stalled()), onClosed: () => undefined },
  );
  await stall;
  t.equal(result.failures, 0, 'every request is answered in the end');
  const { intended, sent } = result.latency!;
  const due = (windowMs * PACE.rate) / 1_000;
  t.equal(unpackHistogram(intended).totalCount, due, 'and counted, whenever it was sent');
  const longMs = 100;
  // Those due in all of the stall but its last 100 ms wait that long; other stalls add to them.
  const seen = countAbove(intended, longMs);
  const wished = ((stallMs - longMs) * PACE.rate) / 1_000;
  t.ok(seen >= wished * 0.9, `${seen} of ${due} waited ${longMs} ms and more`, { wished });
  const hidden = countAbove(sent, longMs);
  t.ok(hidden * 4 < seen, `by their sending it were ${hidden}: one a connection and stall`);
});

t.test('each load comes to something, tells its window, and ends', async (t) => {
  await using target = await startLoadTarget();
  const ends: string[] = [];
  const note = { onOpened: () => ends.push('opened'), onClosed: () => ends.push('closed') };
  const base = { host: '127.0.0.1', port: HTTP_PORT, connections: 4, warmUpMs: 20, windowMs: 150 };
  const orders: LoadOrder[] = [
    { ...base, kind: 'closed-loop' },
    { ...base, kind: 'new-connections' },
    { ...base, kind: 'throughput', port: SINK_PORT },
  ];
  for (const order of orders) {
    let result = await target.load.run(order, note);
    // On a busy machine nobody may have run in all of so short a window.
    for (let more = 0; result.done === 0 && more < 20; more++) {
      result = await target.load.run(order, quiet);
    }
    t.ok(result.done > 0, order.kind);
    t.equal(result.failures, 0);
    t.ok(result.clientCpuSeconds > 0 && result.seconds >= 0.14);
  }
  t.same(ends, ['opened', 'closed', 'opened', 'closed', 'opened', 'closed']);
  const refused = target.load.run({ ...PACE, port: 1, windowMs: 100 }, quiet);
  await t.rejects(refused, LoadError, 'a port where nobody listens is told');
  const again = await target.load.run({ ...PACE, windowMs: 100 }, quiet);
  t.equal(again.failures, 0, 'and the generator goes on');
  const traced = await target.load.run({ ...PACE, windowMs: 100, isTraced: true }, quiet);
  const { trace = [] } = traced.latency!;
  t.equal(trace.length, 40);
  t.ok(trace.every(([sent, answered]) => BigInt(sent) < BigInt(answered)));
  target.app.kill('SIGSTOP');
  const unanswered = await target.load.run({ ...PACE, warmUpMs: 0, windowMs: 50 }, quiet);
  target.app.kill('SIGCONT');
  t.same([unanswered.done, unanswered.failures], [0, 20], 'what is never answered has failed');
});
