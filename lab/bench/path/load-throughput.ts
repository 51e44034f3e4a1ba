import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { WARM_UP_MS, type LoadOrder, type LoadResult } from './load-order.ts';

const PART = Buffer.alloc(256 * 1024, 0x61);

/** Bytes from here to the sink on each connection, as many as it takes. */
export async function throughputLoad(order: LoadOrder, start: () => void): Promise<LoadResult> {
  const sockets: Socket[] = [];
  let sent = 0;
  let failures = 0;
  for (let i = 0; i < order.connections; i++) {
    const socket = connect({ host: order.host, port: order.port });
    await once(socket, 'connect');
    socket.on('error', () => failures++);
    const push = (): void => void socket.write(PART, () => ((sent += PART.length), push()));
    push();
    push();
    sockets.push(socket);
  }
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  start();
  const before = sent;
  const startedAt = performance.now();
  await new Promise((resolve) => setTimeout(resolve, order.seconds * 1_000));
  const done = sent - before;
  const seconds = (performance.now() - startedAt) / 1_000;
  for (const socket of sockets) socket.destroy();
  return { done, seconds, failures };
}
