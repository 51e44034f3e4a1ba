import { setTimeout as sleep } from 'node:timers/promises';
import { createDataPath } from '../../../dataplane/hbone/data-path.ts';
import { HttpLane } from './http-lane.ts';
import type { ClosedLoopOrder, NewConnectionsOrder } from './load-order.ts';
import type { LoadOutcome } from './open-loop.ts';
import type { WindowOf } from './window.ts';

const END_MS = 2_000;

/** Saturation: as many requests as the connections carry. */
export async function closedLoad(order: ClosedLoopOrder, window: WindowOf): Promise<LoadOutcome> {
  using path = createDataPath();
  let done = 0;
  let failures = 0;
  const owner = {
    onAnswer: (lane: HttpLane): void => {
      done++;
      lane.ask();
    },
    onBroken: (): void => void failures++,
  };
  const lanes = await Promise.all(
    Array.from({ length: order.connections }, () => HttpLane.open(path, order, owner)),
  );
  for (const lane of lanes) lane.ask();
  const timed = await countDuring(order, window, () => done);
  for (const lane of lanes) lane.close();
  return { ...timed, failures };
}

/** New connections: lanes that connect, ask once, close and begin again. */
export async function connectionLoad(
  order: NewConnectionsOrder,
  window: WindowOf,
): Promise<LoadOutcome> {
  using path = createDataPath();
  let done = 0;
  let failures = 0;
  let isOver = false;
  const askOnce = (): Promise<void> =>
    new Promise((resolve, reject) => {
      HttpLane.open(path, order, {
        onAnswer: (lane) => {
          lane.close();
          resolve();
        },
        onBroken: (_lane, cause) => reject(cause),
      }).then((lane) => lane.ask(), reject);
    });
  const runLane = async (): Promise<void> => {
    while (!isOver) {
      await askOnce().then(
        () => done++,
        () => failures++,
      );
    }
  };
  const lanes = Array.from({ length: order.connections }, runLane);
  const timed = await countDuring(order, window, () => done);
  isOver = true;
  const ended = new AbortController();
  await Promise.race([
    Promise.all(lanes),
    sleep(END_MS, undefined, { signal: ended.signal }).catch(() => undefined),
  ]);
  ended.abort();
  return { ...timed, failures };
}

/** After the warm-up, how much `count` grows within the window. */
export async function countDuring(
  { warmUpMs, windowMs }: Pick<ClosedLoopOrder, 'warmUpMs' | 'windowMs'>,
  window: WindowOf,
  count: () => number,
): ReturnType<WindowOf> {
  await sleep(warmUpMs);
  return window(async () => {
    const before = count();
    await sleep(windowMs);
    return count() - before;
  });
}
