import { LARGEST_READ_BYTES, type Engine, type Flushable } from '../kernel/engine.ts';
import { budgetOf } from './connection-window.ts';
import type { Duct } from './duct.ts';
import { Http2Stream } from './http2-stream.ts';
import { TcpSocket } from './tcp-socket.ts';

/** Takes what the engine passed without telling: bytes into the tunnel, and out of it. */
export type CountPassed = (into: number, outOf: number) => void;

/**
 * A socket and a stream whose bytes the engine passes on by itself (`native/engine_splice.c`), as far
 * as it is granted. Whoever in JavaScript looks at the stream's windows or changes its state takes
 * that back first; when the turn ends it is granted anew.
 */
export class Splice implements Flushable {
  readonly #engine: Engine;
  readonly #slot: number;
  readonly #socket: TcpSocket;
  readonly #stream: Http2Stream;
  readonly #count: CountPassed;
  #into = 0;
  #outOf = 0;
  #isGranting = false;
  #isOver = false;

  constructor(socket: TcpSocket, stream: Http2Stream, count: CountPassed) {
    this.#engine = socket.engine;
    this.#slot = socket.slot;
    this.#socket = socket;
    this.#stream = stream;
    this.#count = count;
    stream.splice = this;
    socket.splice = this;
    this.#grantLater();
  }

  /** From now on everything is told, until the turn ends. */
  reclaim(): void {
    if (this.#isOver) return;
    this.#take();
    this.#grantLater();
  }

  /** Everything is told from now on. The slot is still the socket's. */
  end(): void {
    if (this.#isOver) return;
    this.#take();
    this.#isOver = true;
    this.#stream.splice = undefined;
    this.#socket.splice = undefined;
  }

  flush(): void {
    this.#isGranting = false;
    if (this.#isOver) return;
    this.#take();
    const { budgets } = this.#engine;
    const at = 2 * this.#slot;
    this.#into = budgetOf(this.#stream.spareToSend - LARGEST_READ_BYTES);
    this.#outOf = budgetOf(this.#stream.spareToTake - 1);
    budgets[at] = this.#into;
    budgets[at + 1] = this.#outOf;
  }

  #take(): void {
    if (this.#into === 0 && this.#outOf === 0) return;
    const { budgets } = this.#engine;
    const at = 2 * this.#slot;
    const into = this.#into - budgets[at]!;
    const outOf = this.#outOf - budgets[at + 1]!;
    this.#into = this.#outOf = budgets[at] = budgets[at + 1] = 0;
    this.#stream.onPassed(into, outOf);
    this.#count(into, outOf);
  }

  #grantLater(): void {
    if (this.#isGranting) return;
    this.#isGranting = true;
    this.#engine.markDirty(this);
  }
}

/** Splices the two ends of a relay where one is a socket and the other a stream of its engine. */
export function spliceEnds(a: Duct, b: Duct, count: CountPassed): Splice | undefined {
  if (a instanceof TcpSocket && b instanceof Http2Stream) return join(a, b, count);
  if (b instanceof TcpSocket && a instanceof Http2Stream) return join(b, a, count);
  return undefined;
}

function join(socket: TcpSocket, stream: Http2Stream, count: CountPassed): Splice | undefined {
  const { session, streamId } = stream;
  if (socket.isClosed || stream.isClosed || socket.engine !== session.engine) return undefined;
  const isSpliced = session.spliceInto(socket.slot, streamId);
  return isSpliced ? new Splice(socket, stream, count) : undefined;
}
