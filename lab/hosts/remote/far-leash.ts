import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const WAIT_MS = 60_000;
const LOOK_MS = 50;

/**
 * Ties standard input and output to the socket of the program that is on this leash, until either
 * ends. The first line that comes in is the secret, which nobody else on this machine has seen.
 */
export async function farLeash(name: string): Promise<void> {
  const socket = await reach(name);
  process.stdin.on('error', () => socket.destroy());
  process.stdin.pipe(socket);
  socket.pipe(process.stdout);
  await once(socket, 'close');
}

async function reach(name: string): Promise<Socket> {
  const until = Date.now() + WAIT_MS;
  for (;;) {
    const socket = connect(`\0${name}`);
    try {
      await once(socket, 'connect');
      socket.on('error', () => socket.destroy());
      return socket;
    } catch (error) {
      if (Date.now() > until) throw error;
      await delay(LOOK_MS);
    }
  }
}
