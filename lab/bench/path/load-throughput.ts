import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { WARM_UP_MS, type LoadOrder, type LoadResult } from './load-order.ts';

const PART = Buffer.alloc(256 * 1024, 0x61);
/** How often a stream with a rate sends what is due. */
const PACE_MS = 1;

/** Bytes from here to the sink on each connection, as many as it takes or as many as are due. */
export async function throughputLoad(order: LoadOrder, start: () => void): Promise<LoadResult> {
  const sockets: Socket[] = [];
  let sent = 0;
  let failures = 0;
  for (let i = 0; i < order.connections; i++) {
    const socket = connect({ host: order.host, port: order.port });
    await once(socket, 'connect');
    socket.on('error', () => failures++);
    const send = (bytes: Buffer, then?: () => void): void =>
      void socket.write(bytes, () => ((sent += bytes.length), then?.()));
    if (order.rate === undefined) pushAll(send);
    else pushAtRate(send, order.rate, socket);
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

type Send = (bytes: Buffer, then?: () => void) => void;

/** Two parts are always under way. */
function pushAll(send: Send): void {
  const push = (): void => send(PART, push);
  push();
  push();
}

/** What a slow path has not taken when it is due is not sent later. */
function pushAtRate(send: Send, rate: number, socket: Socket): void {
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    const due = Math.min(PART.length, Math.round((rate * (now - last)) / 1_000));
    last = now;
    if (socket.writableLength < PART.length) send(PART.subarray(0, due));
  }, PACE_MS);
  socket.once('close', () => clearInterval(timer));
}
