import { createDataPath } from '../../../dataplane/hbone/data-path.ts';
import { openSocket } from '../../../dataplane/kernel/sockets.ts';
import { REQUEST, RESPONSE_BYTES, type LoadOrder, type LoadResult } from './load-order.ts';

/** Opens connections, asks once on each, says `start`, and holds them idle for `seconds`. */
export async function holdLoad(order: LoadOrder, start: () => void): Promise<LoadResult> {
  const path = createDataPath();
  const address = { ip: order.host, port: order.port };
  let done = 0;
  let failures = 0;
  for (let i = 0; i < order.connections; i++) {
    const connection = await path.connect(openSocket({ family: 'ipv4' }), address);
    await new Promise<void>((resolve) => {
      let received = 0;
      connection.receive({
        onBytes(bytes) {
          received += bytes.length;
          if (received < RESPONSE_BYTES) return;
          done++;
          resolve();
        },
        onEnd: () => (failures++, resolve()),
        onError: () => (failures++, resolve()),
      });
      connection.write(REQUEST);
    });
  }
  start();
  await new Promise((resolve) => setTimeout(resolve, order.seconds * 1_000));
  return { done, seconds: order.seconds, failures };
}
