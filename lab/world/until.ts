import { setTimeout as sleep } from 'node:timers/promises';
import { LabError, messageOf } from './errors.ts';

export interface UntilOptions {
  readonly timeoutMs: number;
  readonly pauseMs?: number;
  /** Gives an error that makes further waiting pointless. */
  readonly giveUp?: () => Error | undefined;
}

/**
 * Asks again until the answer is true.
 *
 * @param what Completes "Cannot wait until …" when the time is over; the last fault is its cause.
 * @throws LabError LAB_NOT_READY
 */
export async function until(
  what: string,
  ask: () => boolean | Promise<boolean>,
  { timeoutMs, pauseMs = 10, giveUp }: UntilOptions,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < deadline) {
    const hopeless = giveUp?.();
    if (hopeless) throw hopeless;
    try {
      if (await ask()) return;
    } catch (error) {
      last = error;
    }
    await sleep(pauseMs);
  }
  const why = last === undefined ? '' : `: ${messageOf(last)}`;
  throw new LabError(
    'LAB_NOT_READY',
    `Cannot wait until ${what}: not so after ${timeoutMs} ms${why}`,
    {
      cause: last,
    },
  );
}
