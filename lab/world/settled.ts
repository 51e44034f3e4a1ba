import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from './lab-directory.ts';
import type { LabPaths } from './paths.ts';

const TIMEOUT_MS = 2_000;
const PAUSE_MS = 10;

/**
 * Resolves when a lab is dead or answers. Its lock is held and nobody listens in the moment after a
 * kill, while the kernel ends its processes, and in the first of a start. Gives up
 * silently after 2 s.
 */
export async function untilSettled(paths: LabPaths): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  while (isAlive(paths) && !(await answers(paths.control)) && performance.now() < deadline) {
    await sleep(PAUSE_MS);
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      resolve(true);
      socket.destroy();
    });
  });
}
