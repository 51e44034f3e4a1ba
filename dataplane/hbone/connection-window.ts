import { LARGEST_READ_BYTES, type Engine } from '../kernel/engine.ts';

const DEFAULT_WINDOW_BYTES = 65_535;
const MOST_BUDGET = 0x7fffffff;

/** Of the whole connection both ways, as HTTP/2 counts it (RFC 9113 §6.9). */
export class ConnectionWindow {
  /** What we may still send. */
  send = DEFAULT_WINDOW_BYTES;
  /** What the peer may still send. */
  receive: number;
  /** Taken and not yet given back to the peer. */
  unacknowledged = 0;
  readonly #engine: Engine;
  readonly #slot: number;
  readonly #half: number;
  #into = 0;
  #outOf = 0;
  #passedBytes = 0;

  /** @param slot of the sealed connection, whose budgets the engine spends for spliced streams */
  constructor(engine: Engine, slot: number, ownBytes: number) {
    this.#engine = engine;
    this.#slot = slot;
    this.receive = ownBytes;
    this.#half = ownBytes / 2;
  }

  /** True once so much was taken that the peer should be told. */
  get isDue(): boolean {
    return this.unacknowledged >= this.#half;
  }

  /** All bytes that the engine has taken out of the tunnel by itself. */
  get passedBytes(): number {
    return this.#passedBytes;
  }

  /** The engine passes nothing more; what it passed is counted. True when it could have. */
  reclaim(): boolean {
    if (this.#into === 0 && this.#outOf === 0) return false;
    const { budgets } = this.#engine;
    const at = 2 * this.#slot;
    this.send -= this.#into - budgets[at]!;
    const taken = this.#outOf - budgets[at + 1]!;
    this.receive -= taken;
    this.unacknowledged += taken;
    this.#passedBytes += taken;
    this.#into = this.#outOf = budgets[at] = budgets[at + 1] = 0;
    return true;
  }

  /** What the engine may pass now: never so much that a window has to be looked after. */
  grant(isSending: boolean, isReceiving: boolean): void {
    this.reclaim();
    const { budgets } = this.#engine;
    const at = 2 * this.#slot;
    // Of a connection that is over, the slot may be another's by now.
    if (at + 1 >= budgets.length || (!isSending && !isReceiving)) return;
    this.#into = isSending ? budgetOf(this.send - 2 * LARGEST_READ_BYTES) : 0;
    this.#outOf = isReceiving ? budgetOf(this.#half - this.unacknowledged - 1) : 0;
    budgets[at] = this.#into;
    budgets[at + 1] = this.#outOf;
  }
}

/** As the engine takes it. */
export function budgetOf(bytes: number): number {
  return Math.max(0, Math.min(MOST_BUDGET, Math.floor(bytes)));
}
