import { FineTimer } from '../../../dataplane/kernel/fine-timer.ts';

const US_PER_MS = 1_000;

export interface Pace {
  /** Calls per second. */
  readonly rate: number;
  readonly count: number;
  /** Told which call this is, and when on `performance.now` it was due; never before that. */
  readonly onDue: (index: number, dueMs: number) => void;
}

/** Calls at an even pace from now on; what is late is made up for at once, none is left out. */
export function keepPace({ rate, count, onDue }: Pace): Promise<void> {
  const intervalMs = 1_000 / rate;
  return new Promise((resolve) => {
    let next = 0;
    const startedAt = performance.now();
    const timer = new FineTimer(() => step());
    const step = (): void => {
      const now = performance.now();
      let dueMs = startedAt + next * intervalMs;
      for (; next < count && dueMs <= now; dueMs = startedAt + ++next * intervalMs) {
        onDue(next, dueMs);
      }
      if (next < count) return timer.arm((dueMs - performance.now()) * US_PER_MS);
      timer[Symbol.dispose]();
      resolve();
    };
    step();
  });
}
