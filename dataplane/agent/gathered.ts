interface Waiting<T> {
  readonly items: readonly T[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Work on items that come from many sides, done for all at once that came while the work before was
 * under way. Each who adds hears of its own: after a failure of the whole, each is tried alone.
 */
export class Gathered<T> {
  readonly #work: (items: readonly T[]) => Promise<void>;
  #waiting: Waiting<T>[] = [];
  #isBusy = false;

  constructor(work: (items: readonly T[]) => Promise<void>) {
    this.#work = work;
  }

  /** Resolves when the work is done for these. @throws what the work throws for them alone */
  add(items: readonly T[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ items, resolve, reject });
      if (!this.#isBusy) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isBusy = true;
    while (this.#waiting.length > 0) {
      const together = this.#waiting;
      this.#waiting = [];
      await this.#doTogether(together);
    }
    this.#isBusy = false;
  }

  async #doTogether(together: readonly Waiting<T>[]): Promise<void> {
    try {
      await this.#work(together.flatMap(({ items }) => items));
      for (const { resolve } of together) resolve();
    } catch (error) {
      if (together.length === 1) together[0]!.reject(error);
      else for (const one of together) await this.#doTogether([one]);
    }
  }
}
