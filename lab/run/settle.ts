import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export interface SettleOptions {
  /** The file has settled when its size has not changed for this long. */
  readonly quietMs: number;
  readonly timeoutMs: number;
}

/**
 * Waits until a log that others append to is quiet: the last connections of a request end, and are
 * written down, a moment after its client has gone. Gives up silently at the time-out; what is missing
 * then shows in the facts as a join that could not be made.
 */
export async function settle(file: string, options: SettleOptions): Promise<void> {
  const deadline = performance.now() + options.timeoutMs;
  let size = await sizeOf(file);
  let changedAt = performance.now();
  while (performance.now() < deadline && performance.now() - changedAt < options.quietMs) {
    await sleep(20);
    const now = await sizeOf(file);
    if (now !== size) changedAt = performance.now();
    size = now;
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch {
    return 0;
  }
}
