import type { Logger } from './log.ts';

/** One thing that must be done before the process counts as ready. */
export interface ReadinessTask {
  /** Done; the last one makes the process ready. */
  complete(): void;
  /** No longer so: the process is not ready until it is done again. */
  reset(): void;
}

const SCOPE = 'readiness';

/** What the process still waits for (ztunnel `src/readiness.rs`). */
export class Readiness {
  readonly #log: Logger;
  readonly #pending = new Set<string>();
  readonly #startedMs = performance.now();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Names of what is not done, sorted. */
  pending(): string[] {
    return [...this.#pending].sort();
  }

  register(name: string): ReadinessTask {
    this.#pending.add(name);
    return { complete: () => this.#complete(name), reset: () => this.#pending.add(name) };
  }

  #complete(name: string): void {
    if (!this.#pending.delete(name)) return;
    const done = `Task '${name}' complete (${rustDuration(performance.now() - this.#startedMs)})`;
    const left = this.#pending.size;
    const state = left > 0 ? `still awaiting ${left} tasks` : 'marking server ready';
    this.#log.info(SCOPE, `${done}, ${state}`);
  }
}

/** A duration as Rust's `Debug` prints it: `3.080161ms`, `1.5s`. */
export function rustDuration(ms: number): string {
  const ns = Math.round(ms * 1e6);
  if (ns >= 1e9) return `${ns / 1e9}s`;
  if (ns >= 1e6) return `${ns / 1e6}ms`;
  return ns >= 1e3 ? `${ns / 1e3}µs` : `${ns}ns`;
}
