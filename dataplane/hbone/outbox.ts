import { errnoName, type Engine, type Flushable } from '../kernel/engine.ts';
import { ChannelError } from './errors.ts';

/** Above this much in our hands (beside the kernel's own buffers) whoever feeds us must wait. */
const BLOCK_ABOVE_BYTES = 256 * 1024;
const COPY_BYTES = 64 * 1024;

const SLAB = 0;
const CONTROL = 1;

/** What the owner of an outbox is told. */
export interface OutboxOwner {
  /** More is pending than should be: feed no more. */
  onBlocked(): void;
  /** Everything is in the kernel: go on. */
  onUnblocked(): void;
  /** Writing is over; nothing was or will be sent any more. */
  onBroken(error: ChannelError): void;
}

/** The sending half of a slot: pieces gathered during a turn, written in one call at its end. */
export class Outbox implements Flushable {
  readonly engine: Engine;
  readonly slot: number;
  readonly #owner: OutboxOwner;
  readonly #pieces: number[] = [];
  #count = 0;
  #queuedBytes = 0;
  #kernelPendingBytes = 0;
  #isDirty = false;
  #isBlocked = false;
  #isBroken = false;
  #finish = false;
  #onEmpty: (() => void) | undefined;

  constructor(engine: Engine, slot: number, owner: OutboxOwner) {
    this.engine = engine;
    this.slot = slot;
    this.#owner = owner;
  }

  get pendingBytes(): number {
    return this.#queuedBytes + this.#kernelPendingBytes;
  }

  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Queues bytes of the slab: valid only inside the turn that brought them. */
  sendSlab(offset: number, length: number): void {
    this.#push(SLAB, offset, length);
  }

  /** Queues bytes that the caller wrote into `engine.control` after `engine.reserve`. */
  sendControl(offset: number, length: number): void {
    this.#push(CONTROL, offset, length);
  }

  /** Queues a copy. */
  sendCopy(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length && !this.#isBroken; from += COPY_BYTES) {
      const some = bytes.subarray(from, from + COPY_BYTES);
      const offset = this.engine.reserve(some.length);
      this.engine.control.set(some, offset);
      this.sendControl(offset, some.length);
    }
  }

  /** FIN after everything queued so far. */
  finish(): void {
    this.#finish = true;
    this.#markDirty();
  }

  /** Calls `then` once nothing is pending, or nothing can be sent any more. */
  whenEmpty(then: () => void): void {
    // What the engine has passed on by itself may pend, too.
    if (!this.#isBroken) this.#kernelPendingBytes = this.engine.pendingBytes(this.slot);
    this.#onEmpty = then;
    this.#markDirty();
  }

  /** Nothing more will be sent; what is queued is forgotten. */
  abandon(): void {
    this.#isBroken = true;
    this.#count = 0;
    this.#queuedBytes = 0;
    this.#kernelPendingBytes = 0;
    this.#onEmpty = undefined;
  }

  flush(): void {
    this.#isDirty = false;
    if (this.#isBroken) return this.#settle();
    if (this.#count > 0) {
      const pending = this.engine.send(this.slot, this.#pieces, this.#count);
      this.#count = 0;
      this.#queuedBytes = 0;
      if (pending < 0) return this.fail(-pending);
      this.notePending(pending);
    }
    if (this.#finish) {
      this.#finish = false;
      // Closing says FIN as well: one system call less where the close follows at once.
      if (this.#onEmpty === undefined || this.pendingBytes > 0) this.engine.shut(this.slot);
    }
    this.#settle();
  }

  /** Takes the pending count that a direct `engine.sendRecord` returned. */
  notePending(pending: number): void {
    if (pending < 0) return this.fail(-pending);
    this.#kernelPendingBytes = pending;
    if (pending > BLOCK_ABOVE_BYTES && !this.#isBlocked) {
      this.#isBlocked = true;
      this.#owner.onBlocked();
    }
  }

  /** The engine says that all is sent; what was sent since in the same turn may pend again. */
  onDrained(): void {
    if (this.#isBroken) return;
    this.#kernelPendingBytes = this.engine.pendingBytes(this.slot);
    if (this.#kernelPendingBytes > 0) return;
    if (this.#isBlocked) {
      this.#isBlocked = false;
      this.#owner.onUnblocked();
    }
    this.#settle();
  }

  /** Writing failed with this errno. */
  fail(errno: number): void {
    if (this.#isBroken) return;
    const then = this.#onEmpty;
    this.abandon();
    this.#owner.onBroken(new ChannelError(errnoName(errno)));
    then?.();
  }

  #push(buffer: number, offset: number, length: number): void {
    if (this.#isBroken || length === 0) return;
    // The array keeps its room from turn to turn.
    const at = 3 * this.#count++;
    this.#pieces[at] = buffer;
    this.#pieces[at + 1] = offset;
    this.#pieces[at + 2] = length;
    this.#queuedBytes += length;
    this.#markDirty();
  }

  #markDirty(): void {
    if (this.#isDirty) return;
    this.#isDirty = true;
    this.engine.markDirty(this);
  }

  #settle(): void {
    if (this.#onEmpty === undefined || (this.pendingBytes > 0 && !this.#isBroken)) return;
    const then = this.#onEmpty;
    this.#onEmpty = undefined;
    then();
  }
}
