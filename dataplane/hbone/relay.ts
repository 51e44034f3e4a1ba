import type { ByteChannel, Relay, RelayOptions, RelayResult } from './api.ts';
import { isDuct, type Duct, type DuctReader, type DuctWatcher } from './duct.ts';
import { ChannelError, Http2Error } from './errors.ts';
import { spliceEnds, type Splice } from './splice.ts';

/** Faults that count as a normal end while copying (`facts/ztunnel.md` §2.5). */
const SWALLOWED: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ENOTCONN', 'EOF']);
const CODE_STREAM_CLOSED = 5;
/** A connection of one request is not worth the splicing. */
const COPIES_BEFORE_SPLICE = 4;

/**
 * Copies both ways between `a` and `b` until both directions are done, then releases both. A FIN
 * becomes END_STREAM and the other way round; so does a reset.
 */
export function startRelay(a: ByteChannel, b: ByteChannel, options: RelayOptions = {}): Relay {
  if (!isDuct(a) || !isDuct(b)) throw new TypeError('Cannot relay: not channels of a data path');
  return new RunningRelay(a, b, options.signal);
}

/** What a direction tells its relay. */
interface DirectionOwner {
  /** Bytes were copied. */
  onCopied(): void;
  onDone(): void;
  onFailed(error: Error): void;
}

class RunningRelay implements Relay, DirectionOwner {
  readonly done: Promise<RelayResult>;
  readonly #a: Duct;
  readonly #b: Duct;
  readonly #aToB: Direction;
  readonly #bToA: Direction;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: () => void;
  #splice: Splice | undefined;
  #copies = 0;
  #settle!: (result: RelayResult) => void;
  #isOver = false;

  constructor(a: Duct, b: Duct, signal: AbortSignal | undefined) {
    this.#a = a;
    this.#b = b;
    this.#signal = signal;
    this.done = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#aToB = new Direction(a, b, this);
    this.#bToA = new Direction(b, a, this);
    this.#onAbort = () => this.onFailed(reasonOf(signal));
    if (signal?.aborted) {
      this.#onAbort();
      return;
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    a.attach(this.#aToB, this.#bToA);
    if (!this.#isOver) b.attach(this.#bToA, this.#aToB);
  }

  get bytesAToB(): number {
    this.#splice?.reclaim();
    return this.#aToB.bytes;
  }

  get bytesBToA(): number {
    this.#splice?.reclaim();
    return this.#bToA.bytes;
  }

  onDone(): void {
    if (this.#isOver || !this.#aToB.isDone || !this.#bToA.isDone) return;
    this.#finish(undefined);
    this.#a.release();
    this.#b.release();
  }

  onFailed(error: Error): void {
    if (this.#isOver) return;
    this.#finish(error);
    this.#a.reset();
    this.#b.reset();
  }

  onCopied(): void {
    if (++this.#copies === COPIES_BEFORE_SPLICE && !this.#isOver) this.#splice = this.#spliceEnds();
  }

  #spliceEnds(): Splice | undefined {
    const isSocketFirst = !('session' in this.#a);
    const [intoTunnel, outOfTunnel] = isSocketFirst
      ? [this.#aToB, this.#bToA]
      : [this.#bToA, this.#aToB];
    return spliceEnds(this.#a, this.#b, (into, outOf) => {
      intoTunnel.bytes += into;
      outOfTunnel.bytes += outOf;
    });
  }

  #finish(error: Error | undefined): void {
    this.#isOver = true;
    this.#splice?.end();
    this.#aToB.isDone = true;
    this.#bToA.isDone = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    const counts = { bytesAToB: this.#aToB.bytes, bytesBToA: this.#bToA.bytes };
    this.#settle(error === undefined ? counts : { ...counts, error });
  }
}

/** One way: reads the source, watches the sink. */
class Direction implements DuctReader, DuctWatcher {
  bytes = 0;
  isDone = false;
  readonly #source: Duct;
  readonly #sink: Duct;
  readonly #owner: DirectionOwner;

  constructor(source: Duct, sink: Duct, owner: DirectionOwner) {
    this.#source = source;
    this.#sink = sink;
    this.#owner = owner;
  }

  onSlab(offset: number, length: number): void {
    if (this.isDone) return;
    this.bytes += length;
    this.#sink.sendSlab(offset, length);
    this.#owner.onCopied();
  }

  onBytes(bytes: Buffer): void {
    if (this.isDone) return;
    this.bytes += bytes.length;
    this.#sink.write(bytes);
  }

  onEnd(): void {
    if (this.isDone) return;
    this.isDone = true;
    this.#sink.end();
    this.#owner.onDone();
  }

  onError(error: Error): void {
    if (this.isDone) return;
    if (isSwallowed(error)) this.onEnd();
    else this.#owner.onFailed(error);
  }

  onBlocked(): void {
    if (!this.isDone) this.#source.pauseReading();
  }

  onUnblocked(): void {
    if (!this.isDone) this.#source.resumeReading();
  }

  onBroken(error: Error): void {
    if (this.isDone) return;
    if (!isSwallowed(error)) return this.#owner.onFailed(error);
    this.isDone = true;
    this.#source.pauseReading();
    this.#owner.onDone();
  }
}

function isSwallowed(error: Error): boolean {
  if (error instanceof ChannelError) return SWALLOWED.has(error.osCode);
  return error instanceof Http2Error && error.errorCode === CODE_STREAM_CLOSED;
}

function reasonOf(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error('relay aborted');
}
