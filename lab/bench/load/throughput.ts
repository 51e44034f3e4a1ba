import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { countDuring } from './closed-loop.ts';
import type { ThroughputOrder } from './load-order.ts';
import type { LoadOutcome } from './open-loop.ts';
import type { WindowOf } from './window.ts';

const PART = Buffer.alloc(256 * 1024, 0x61);

/** Bytes from here to the sink on each connection, as many as it takes. */
export async function throughputLoad(
  order: ThroughputOrder,
  window: WindowOf,
): Promise<LoadOutcome> {
  const sockets: Socket[] = [];
  let sent = 0;
  let failures = 0;
  for (let i = 0; i < order.connections; i++) {
    const socket = connect({ host: order.host, port: order.port });
    await once(socket, 'connect');
    socket.on('error', () => failures++);
    const push = (): void => {
      if (socket.destroyed) return;
      socket.write(PART, () => {
        sent += PART.length;
        push();
      });
    };
    // Two at a time: the kernel is never without more to take.
    push();
    push();
    sockets.push(socket);
  }
  const timed = await countDuring(order, window, () => sent);
  const failuresBefore = failures;
  for (const socket of sockets) socket.destroy();
  return { ...timed, failures: failuresBefore };
}
