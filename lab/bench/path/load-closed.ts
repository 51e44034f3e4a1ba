import { createDataPath } from '../../../dataplane/hbone/data-path.ts';
import { openSocket } from '../../../dataplane/kernel/sockets.ts';
import {
  REQUEST,
  RESPONSE_BYTES,
  WARM_UP_MS,
  type LoadOrder,
  type LoadResult,
} from './load-order.ts';

/** Closed loop: each connection asks again as soon as it is answered. For machines without wrk. */
export async function closedLoad(order: LoadOrder, start: () => void): Promise<LoadResult> {
  const path = createDataPath();
  let done = 0;
  let failures = 0;
  const address = { ip: order.host, port: order.port };
  for (let i = 0; i < order.connections; i++) {
    const connection = await path.connect(openSocket({ family: 'ipv4' }), address);
    let received = 0;
    connection.receive({
      onBytes(bytes) {
        received += bytes.length;
        if (received < RESPONSE_BYTES) return;
        received = 0;
        done++;
        connection.write(REQUEST);
      },
      onEnd: () => failures++,
      onError: () => failures++,
    });
    connection.write(REQUEST);
  }
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  start();
  const before = done;
  const startedAt = performance.now();
  await new Promise((resolve) => setTimeout(resolve, order.seconds * 1_000));
  const seconds = (performance.now() - startedAt) / 1_000;
  return { done: done - before, seconds, failures };
}
