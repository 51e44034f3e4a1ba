import type { AppObservation } from './lab.ts';

const KEPT = 20_000;

/** What the apps of the lab saw, as long as memory allows: the newest 20,000. */
export class Observations {
  readonly #all: AppObservation[] = [];
  readonly #waiting = new Map<string, (seen: AppObservation) => void>();

  add(seen: AppObservation): void {
    this.#all.push(seen);
    if (this.#all.length > KEPT * 1.1) this.#all.splice(0, this.#all.length - KEPT);
    if (seen.canary !== undefined) this.#waiting.get(seen.canary)?.(seen);
  }

  /** Newest last. */
  list(canary?: string): readonly AppObservation[] {
    return canary === undefined ? [...this.#all] : this.#all.filter((o) => o.canary === canary);
  }

  /** The last sighting of a canary, or nothing when none comes in time. */
  waitFor(canary: string, timeoutMs: number): Promise<AppObservation | undefined> {
    const known = this.#all.findLast((o) => o.canary === canary);
    if (known || timeoutMs === 0) return Promise.resolve(known);
    return new Promise((resolve) => {
      const end = (seen?: AppObservation): void => {
        clearTimeout(timer);
        this.#waiting.delete(canary);
        resolve(seen);
      };
      const timer = setTimeout(end, timeoutMs);
      this.#waiting.set(canary, end);
    });
  }
}
