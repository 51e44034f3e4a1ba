/**
 * Seeded generator (mulberry32): the same seed and stream give the same numbers on every machine,
 * so that input N of a campaign can be made again alone.
 */
export class Random {
  #state: number;

  constructor(seed: number, stream = 0) {
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(stream + 1, 0xc2b2ae35);
  }

  /** A whole number of 32 bits. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** From 0 to `end` - 1; 0 where there is nothing to choose from. */
  below(end: number): number {
    return end <= 1 ? 0 : Math.floor((this.next() / 2 ** 32) * end);
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError('Cannot pick from nothing');
    return item;
  }

  /** Start and end of a piece of `length`, mostly short. */
  range(length: number): readonly [start: number, end: number] {
    const start = this.below(length);
    const most = this.once(4) ? length - start : Math.min(length - start, 16);
    return [start, start + 1 + this.below(most)];
  }

  /** How many changes an input gets: mostly one, at times many. */
  changes(): number {
    const kind = this.below(8);
    if (kind < 4) return 1;
    return kind < 7 ? 2 + this.below(3) : 5 + this.below(12);
  }
}
