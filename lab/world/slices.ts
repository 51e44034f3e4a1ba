import { setImmediate as immediate } from 'node:timers/promises';

export { immediate };

/** Items whose work is done before everything else of this process gets its turn: a few ms. */
const AT_ONCE = 4;

/**
 * Does work that cannot wait (calls of the kernel) for each item in order, and lets the rest of this
 * process go on in between: programs that start, answers that come.
 */
export async function inSlices<T>(items: readonly T[], work: (item: T) => void): Promise<void> {
  for (const [index, item] of items.entries()) {
    work(item);
    if (index % AT_ONCE === AT_ONCE - 1) await immediate();
  }
}
