/** What a load came to within its window. */
export interface Timed {
  readonly done: number;
  readonly seconds: number;
  readonly clientCpuSeconds: number;
}

/**
 * Runs the measured part of a load, which gives what it has done; both ends of the window are told
 * to whoever accounts for the proxies.
 */
export type WindowOf = (load: () => Promise<number>) => Promise<Timed>;

/** @param tell writes a report at once */
export function windowOf(tell: (end: 'opened' | 'closed') => void): WindowOf {
  return async (load) => {
    tell('opened');
    const cpu = process.cpuUsage();
    const startedAt = performance.now();
    const done = await load();
    const seconds = (performance.now() - startedAt) / 1_000;
    const { user, system } = process.cpuUsage(cpu);
    tell('closed');
    return { done, seconds, clientCpuSeconds: (user + system) / 1e6 };
  };
}
