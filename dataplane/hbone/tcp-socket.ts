import { errnoName, type Engine, type SlotHandler } from '../kernel/engine.ts';
import type { ByteReader, SocketAddress, TcpConnection } from './api.ts';
import type { Duct, DuctReader, DuctWatcher } from './duct.ts';
import { ChannelError } from './errors.ts';
import { IGNORING_WATCHER, readerOf } from './byte-reader.ts';
import { Outbox, type OutboxOwner } from './outbox.ts';
import type { Splice } from './splice.ts';

const NOWHERE: SocketAddress = { ip: '0.0.0.0', port: 0 };

/** A connected TCP socket of the engine. */
export class TcpSocket implements TcpConnection, Duct, SlotHandler, OutboxOwner {
  readonly engine: Engine;
  readonly slot: number;
  readonly outbox: Outbox;
  /** The engine's short way between this socket and a stream, while a relay has joined them. */
  splice: Splice | undefined;
  #reader: DuctReader | undefined;
  #watcher: DuctWatcher = IGNORING_WATCHER;
  #local: SocketAddress | undefined;
  #peer: SocketAddress | undefined;
  #isReading = false;
  #isPaused = false;
  #hasEnded = false;
  #isClosed = false;

  /**
   * Takes over `slot`, a connected one whose handler becomes this object.
   * @param peer when it is known already
   */
  constructor(engine: Engine, slot: number, peer?: SocketAddress) {
    this.engine = engine;
    this.slot = slot;
    this.#peer = peer;
    this.outbox = new Outbox(engine, slot, this);
    engine.handle(slot, this);
  }

  get fd(): number {
    return this.#isClosed ? -1 : this.engine.descriptor(this.slot);
  }

  get local(): SocketAddress {
    this.#local ??= this.#readEnd('local');
    return this.#local ?? NOWHERE;
  }

  get peer(): SocketAddress {
    this.#peer ??= this.#readEnd('peer');
    return this.#peer ?? NOWHERE;
  }

  get pendingBytes(): number {
    return this.outbox.pendingBytes;
  }

  get isBlocked(): boolean {
    return this.outbox.isBlocked;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  originalDestination(): SocketAddress | undefined {
    if (this.#isClosed) return undefined;
    const found = this.engine.originalDestination(this.slot);
    return found && { ip: found[0], port: found[1] };
  }

  write(bytes: Uint8Array): void {
    this.outbox.sendCopy(bytes);
  }

  sendSlab(offset: number, length: number): void {
    this.outbox.sendSlab(offset, length);
  }

  end(): void {
    if (!this.#isClosed) this.outbox.finish();
  }

  reset(): void {
    this.#shutDown(true);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#stopReading();
    this.outbox.whenEmpty(() => this.#shutDown(false));
  }

  release(): void {
    this.close();
  }

  /** Closes at once; what the kernel has not taken is lost. */
  destroy(): void {
    this.#shutDown(false);
  }

  receive(reader: ByteReader): void {
    this.attach(readerOf(this.engine, reader), IGNORING_WATCHER);
  }

  attach(reader: DuctReader, watcher: DuctWatcher): void {
    this.#reader = reader;
    this.#watcher = watcher;
    this.#isReading = true;
    this.#updateReading();
    if (this.outbox.isBroken) watcher.onBroken(new ChannelError('EPIPE'));
  }

  pause(): void {
    this.pauseReading();
  }

  resume(): void {
    this.resumeReading();
  }

  pauseReading(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#updateReading();
  }

  resumeReading(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#updateReading();
  }

  onData(offset: number, length: number): void {
    this.#reader?.onSlab(offset, length);
  }

  onEnd(): void {
    this.#hasEnded = true;
    this.#reader?.onEnd();
  }

  onFailed(errno: number): void {
    const error = new ChannelError(errnoName(errno));
    this.outbox.fail(errno);
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#reader?.onError(error);
  }

  onDrained(): void {
    this.outbox.onDrained();
  }

  onBlocked(): void {
    this.#watcher.onBlocked();
  }

  onUnblocked(): void {
    this.#watcher.onUnblocked();
  }

  onBroken(error: ChannelError): void {
    this.#watcher.onBroken(error);
  }

  onSendFailed(errno: number): void {
    this.outbox.fail(errno);
  }

  onConnected(): void {}
  onAccept(): void {}
  onAcceptFailed(): void {}
  onRecord(): void {}
  onRecordFault(): void {}
  onKeyLimit(): void {}

  /** Asked of the kernel once, at first need: it costs a system call. */
  #readEnd(end: 'local' | 'peer'): SocketAddress | undefined {
    if (this.#isClosed) return undefined;
    const found = this.engine.endpoint(this.slot, end);
    return found && { ip: found[0], port: found[1] };
  }

  #updateReading(): void {
    if (!this.#isClosed) this.engine.read(this.slot, this.#isReading && !this.#isPaused);
  }

  #stopReading(): void {
    this.#reader = undefined;
    this.#isReading = false;
    this.#updateReading();
  }

  #shutDown(isReset: boolean): void {
    if (this.#isClosed) return;
    this.splice?.end();
    // Logs are written after the end, when the kernel no longer knows.
    this.#local ??= this.#readEnd('local');
    this.#isClosed = true;
    this.#reader = undefined;
    this.#watcher = IGNORING_WATCHER;
    this.outbox.abandon();
    this.engine.close(this.slot, isReset);
  }
}
