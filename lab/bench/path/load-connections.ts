import type { DataPath } from '../../../dataplane/hbone/api.ts';
import { createDataPath } from '../../../dataplane/hbone/data-path.ts';
import { openSocket } from '../../../dataplane/kernel/sockets.ts';
import {
  REQUEST,
  RESPONSE_BYTES,
  WARM_UP_MS,
  type LoadOrder,
  type LoadResult,
} from './load-order.ts';

/** New connections: each lane connects, asks once, closes, and begins again. */
export async function connectionLoad(order: LoadOrder, start: () => void): Promise<LoadResult> {
  const path = createDataPath();
  const count = { done: 0, failures: 0, isOver: false };
  const lanes = Array.from({ length: order.connections }, () => runLane(path, order, count));
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  start();
  const before = count.done;
  const startedAt = performance.now();
  await new Promise((resolve) => setTimeout(resolve, order.seconds * 1_000));
  const done = count.done - before;
  const seconds = (performance.now() - startedAt) / 1_000;
  count.isOver = true;
  await Promise.race([Promise.all(lanes), new Promise((resolve) => setTimeout(resolve, 2_000))]);
  return { done, seconds, failures: count.failures };
}

async function runLane(
  path: DataPath,
  order: LoadOrder,
  count: { done: number; failures: number; readonly isOver: boolean },
): Promise<void> {
  while (!count.isOver) {
    const isAnswered = await askOnce(path, order).catch(() => false);
    if (isAnswered) count.done++;
    else count.failures++;
  }
}

async function askOnce(path: DataPath, order: LoadOrder): Promise<boolean> {
  const address = { ip: order.host, port: order.port };
  const connection = await path.connect(openSocket({ family: 'ipv4' }), address);
  return new Promise((resolve) => {
    let received = 0;
    const finish = (isAnswered: boolean): void => {
      connection.close();
      resolve(isAnswered);
    };
    connection.receive({
      onBytes(bytes) {
        received += bytes.length;
        if (received >= RESPONSE_BYTES) finish(true);
      },
      onEnd: () => finish(false),
      onError: () => finish(false),
    });
    connection.write(REQUEST);
  });
}
