import { constants } from 'node:os';
import { native } from './addon.ts';

/** Free bytes before everything in the slab that came from a descriptor: a frame header fits. */
export const SLAB_HEADROOM_BYTES = 9;

/** No read is longer (`LONE_READ_BYTES` in `native/engine.h`). */
export const LARGEST_READ_BYTES = 512 * 1024;

/** Cipher suites of TLS 1.3 (RFC 8446 §B.4). */
export const CIPHER_SUITE = {
  aes128Gcm: 0x1301,
  aes256Gcm: 0x1302,
  chacha20Poly1305: 0x1303,
} as const;

const SLAB_BYTES = 1 << 20;
const CONTROL_BYTES = 256 * 1024;
const EVENTS = 4096;
const PIECES = 1024;
/** Slots above are not spliced. */
const MOST_SPLICED_SLOTS = 32_768;
const EVENT_INTS = 4;
/** In the result of the native connect: up already. */
const CONNECTED_FLAG = 1 << 30;

/** Same numbers as `enum event_kind` in `native/engine.h`. */
const EVENT = {
  accept: 1,
  acceptFailed: 2,
  connected: 3,
  failed: 4,
  data: 5,
  end: 6,
  drained: 7,
  record: 8,
  recordFault: 9,
  keyLimit: 10,
  sendFailed: 11,
} as const;

interface NativeEngine {
  adopt(fd: number, isListener: boolean): number;
  connect(fd: number, ip: string, port: number): number;
  endpoint(slot: number, isPeer: boolean): readonly [string, number] | undefined;
  originalDestination(slot: number): readonly [string, number] | undefined;
  tune(slot: number, idle: number, interval: number, probes: number, userTimeoutMs: number): void;
  read(slot: number, wanted: boolean): void;
  send(slot: number, count: number): number;
  sendRecord(slot: number, type: number, bytes: Uint8Array): number;
  attach(
    slot: number,
    isReading: boolean,
    suite: number,
    key: Uint8Array,
    iv: Uint8Array,
    sequence: number,
    limit: number,
  ): void;
  inject(slot: number, bytes: Uint8Array): void;
  release(slot: number): void;
  shut(slot: number): void;
  close(slot: number, isReset: boolean): void;
  splice(plain: number, sealed: number, streamId: number, frameLimit: number): boolean;
  pending(slot: number): number;
  counters(slot: number): readonly [number, number, number, number, number];
  descriptor(slot: number): number;
  dispose(): void;
}

/** Stands in after disposal: late calls (a timer, a promise) find nothing to do. */
const GONE: NativeEngine = {
  adopt: () => -constants.errno.EBADF,
  connect: () => -constants.errno.EBADF,
  endpoint: () => undefined,
  originalDestination: () => undefined,
  tune: () => undefined,
  read: () => undefined,
  send: () => -constants.errno.EBADF,
  sendRecord: () => -constants.errno.EBADF,
  attach: () => undefined,
  inject: () => undefined,
  release: () => undefined,
  shut: () => undefined,
  close: () => undefined,
  splice: () => false,
  pending: () => 0,
  counters: () => [0, 0, 0, 0, 0],
  descriptor: () => -1,
  dispose: () => undefined,
};

/** Who is told what happens to a slot. Slab offsets are valid only during the call. */
export interface SlotHandler {
  /** Bytes (opened ones once a reading key is attached) lie in `engine.slab`. */
  onData(offset: number, length: number): void;
  /** FIN of the peer. */
  onEnd(): void;
  /** Connecting, reading or writing failed; may be told more than once. */
  onFailed(errno: number): void;
  /** What the kernel had refused is sent. */
  onDrained(): void;
  onConnected(): void;
  /** A connection arrived on a listening slot; nothing of it is read yet. */
  onAccept(slot: number): void;
  onAcceptFailed(errno: number): void;
  /** A TLS record other than application data; opening goes on after `engine.release`. */
  onRecord(type: number, offset: number, length: number): void;
  /** A record that must be refused with this alert; reading has stopped. */
  onRecordFault(alert: number): void;
  /** The sending key has sealed its limit of records. */
  onKeyLimit(): void;
  /** Writing what was spliced failed; nothing can be sent any more. */
  onSendFailed(errno: number): void;
}

/** Something that has bytes to send when the turn ends. */
export interface Flushable {
  flush(): void;
}

/** How a connect began: up already (no event follows), under way, or failed. */
export type ConnectStart =
  | { readonly kind: 'connected' | 'connecting'; readonly slot: number }
  | { readonly kind: 'failed'; readonly errno: number };

export interface SlotCounters {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly pendingBytes: number;
  /** Records opened and sealed under the present keys. */
  readonly recordsIn: number;
  readonly recordsOut: number;
}

/**
 * Descriptors, bytes and record keys ("kTLS in user space", see `native/engine.h`). Slots stand for
 * descriptors that the engine owns. Each turn of the event loop reads every ready slot once, tells
 * the handlers, then flushes whoever is dirty: at once at low load, coalesced at high load.
 */
export class Engine implements Disposable {
  /** Where reads land; offsets of `onData` and `onRecord` point into it. */
  readonly slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Where senders write frame headers and copies; free again after each flush. */
  readonly control: Buffer = Buffer.allocUnsafeSlow(CONTROL_BYTES);
  /**
   * What the engine may pass on by itself, by slot: bytes into the tunnel and bytes out of it. Of a
   * spliced socket for its stream, of a sealed slot for the connection. The engine spends them.
   */
  readonly budgets = new Int32Array(2 * MOST_SPLICED_SLOTS);
  readonly #events = new Int32Array(EVENTS * EVENT_INTS);
  readonly #gather = new Int32Array(PIECES * 3);
  readonly #handlers: (SlotHandler | undefined)[] = [];
  readonly #onCallbackError: (error: unknown) => void;
  #native: NativeEngine;
  /** Whoever has to flush; the array keeps its room from turn to turn. */
  readonly #dirty: (Flushable | undefined)[] = [];
  #dirtyCount = 0;
  #flushAt = 0;
  #controlAt = 0;
  #isInTurn = false;
  #isFlushPlanned = false;
  #openSlots = 0;
  #isDisposed = false;

  /** @param onCallbackError takes what a handler throws, so that one fault does not stop the turn */
  constructor(onCallbackError: (error: unknown) => void) {
    this.#onCallbackError = onCallbackError;
    const addon = native as unknown as {
      createEngine(...parts: readonly unknown[]): NativeEngine;
    };
    this.#native = addon.createEngine(
      this.slab,
      this.control,
      Buffer.from(this.#events.buffer),
      Buffer.from(this.#gather.buffer),
      Buffer.from(this.budgets.buffer),
      (count: number) => this.#turn(count),
    );
  }

  get openSlots(): number {
    return this.#openSlots;
  }

  get isDisposed(): boolean {
    return this.#isDisposed;
  }

  /** Takes over a connected socket, or a listening one; reading (accepting) starts with `read`. */
  adopt(fd: number, isListener: boolean, handler: SlotHandler): number {
    this.#assertAlive();
    return this.#open(this.#native.adopt(fd, isListener), handler);
  }

  /** Starts a non-blocking connect. The descriptor is closed when it fails at once. */
  connect(fd: number, ip: string, port: number, handler: SlotHandler): ConnectStart {
    this.#assertAlive();
    const result = this.#native.connect(fd, ip, port);
    if (result < 0) return { kind: 'failed', errno: -result };
    const slot = this.#open(result & ~CONNECTED_FLAG, handler);
    return { kind: result & CONNECTED_FLAG ? 'connected' : 'connecting', slot };
  }

  /** Gives a slot, one just accepted for example, its handler. */
  handle(slot: number, handler: SlotHandler): void {
    this.#handlers[slot] = handler;
  }

  /** Address and port of one end; undefined when the kernel knows it no more. */
  endpoint(slot: number, end: 'local' | 'peer'): readonly [string, number] | undefined {
    return this.#native.endpoint(slot, end === 'peer');
  }

  originalDestination(slot: number): readonly [string, number] | undefined {
    return this.#native.originalDestination(slot);
  }

  descriptor(slot: number): number {
    return this.#native.descriptor(slot);
  }

  /** TCP_NODELAY, and keepalive where `idleSeconds` > 0. Failures are ignored. */
  tune(
    slot: number,
    idleSeconds: number,
    intervalSeconds: number,
    probes: number,
    userTimeoutMs: number,
  ): void {
    this.#native.tune(slot, idleSeconds, intervalSeconds, probes, userTimeoutMs);
  }

  /** Starts or stops reading. */
  read(slot: number, wanted: boolean): void {
    this.#native.read(slot, wanted);
  }

  /** Sends `count` triples of {0 slab or 1 control, offset, length}; pending bytes, or -errno. */
  send(slot: number, pieces: readonly number[], count: number): number {
    const gather = this.#gather;
    let pending = 0;
    for (let from = 0; from < count; from += PIECES) {
      const some = Math.min(PIECES, count - from);
      for (let i = 0; i < 3 * some; i++) gather[i] = pieces[3 * from + i]!;
      pending = this.#native.send(slot, some);
      if (pending < 0) return pending;
    }
    return pending;
  }

  /** One sealed record of any content type; pending bytes, or -errno. */
  sendRecord(slot: number, type: number, bytes: Uint8Array): number {
    return this.#native.sendRecord(slot, type, bytes);
  }

  /**
   * From the next byte on this direction is TLS 1.3 records under `key`, starting at record number
   * `sequence`. With `recordLimit` > 0, `onKeyLimit` is told when that many are sealed.
   */
  attach(
    slot: number,
    direction: 'read' | 'write',
    suite: number,
    keys: { readonly key: Uint8Array; readonly iv: Uint8Array },
    sequence: number,
    recordLimit = 0,
  ): void {
    const { key, iv } = keys;
    this.#native.attach(slot, direction === 'read', suite, key, iv, sequence, recordLimit);
  }

  /** Ciphertext that was read before the reading key was known. */
  inject(slot: number, bytes: Uint8Array): void {
    this.#native.inject(slot, bytes);
  }

  /** Goes on opening records after `onRecord`. */
  release(slot: number): void {
    this.#native.release(slot);
  }

  /** FIN, once everything pending is out. */
  shut(slot: number): void {
    this.#native.shut(slot);
  }

  /** Closes the descriptor; with `isReset` the peer gets RST. The slot is no longer valid. */
  close(slot: number, isReset: boolean): void {
    if (this.#isDisposed || this.#handlers[slot] === undefined) return;
    this.#handlers[slot] = undefined;
    this.#openSlots--;
    this.#native.close(slot, isReset);
  }

  /**
   * From now on whole DATA frames of a stream pass between a socket and a sealed connection without
   * a call of a handler, as far as `budgets` go. False when these two cannot.
   */
  splice(plain: number, sealed: number, streamId: number, frameLimit: number): boolean {
    return this.#native.splice(plain, sealed, streamId, frameLimit);
  }

  /** Bytes that the kernel would not take yet. */
  pendingBytes(slot: number): number {
    return this.#native.pending(slot);
  }

  counters(slot: number): SlotCounters {
    const [bytesIn, bytesOut, pendingBytes, recordsIn, recordsOut] = this.#native.counters(slot);
    return { bytesIn, bytesOut, pendingBytes, recordsIn, recordsOut };
  }

  /**
   * Room for `bytes` in `control`, valid until the next flush; the offset. At most CONTROL_BYTES.
   * What is dirty is flushed first where there is too little.
   */
  reserve(bytes: number): number {
    if (this.#controlAt + bytes > CONTROL_BYTES) this.flush();
    const offset = this.#controlAt;
    this.#controlAt = offset + bytes;
    return offset;
  }

  /** `who.flush` runs once, at the end of this turn or of the current run of microtasks. */
  markDirty(who: Flushable): void {
    this.#dirty[this.#dirtyCount++] = who;
    if (this.#isInTurn || this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    queueMicrotask(() => {
      this.#isFlushPlanned = false;
      this.flush();
    });
  }

  /** Sends what all dirty senders hold; `control` is free again. May be called inside itself. */
  flush(): void {
    while (this.#flushAt < this.#dirtyCount) {
      const who = this.#dirty[this.#flushAt];
      this.#dirty[this.#flushAt++] = undefined;
      try {
        who?.flush();
      } catch (error) {
        this.#onCallbackError(error);
      }
    }
    this.#dirtyCount = 0;
    this.#flushAt = 0;
    this.#controlAt = 0;
  }

  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.flush();
    this.#isDisposed = true;
    this.#handlers.length = 0;
    this.#openSlots = 0;
    const ended = this.#native;
    this.#native = GONE;
    ended.dispose();
  }

  #open(slot: number, handler: SlotHandler): number {
    this.#handlers[slot] = handler;
    this.#openSlots++;
    return slot;
  }

  #turn(count: number): void {
    this.#isInTurn = true;
    const events = this.#events;
    for (let at = 0; at < EVENT_INTS * count; at += EVENT_INTS) {
      const handler = this.#handlers[events[at]!];
      if (handler === undefined) {
        if (events[at + 1] === EVENT.accept) this.#native.close(events[at + 2]!, true);
        continue;
      }
      try {
        this.#dispatch(handler, events[at + 1]!, events[at + 2]!, events[at + 3]!);
      } catch (error) {
        this.#onCallbackError(error);
      }
    }
    this.#isInTurn = false;
    this.flush();
  }

  #dispatch(handler: SlotHandler, kind: number, a: number, b: number): void {
    switch (kind & 0xff) {
      case EVENT.data:
        return handler.onData(a, b);
      case EVENT.end:
        return handler.onEnd();
      case EVENT.accept:
        this.#openSlots++;
        return handler.onAccept(a);
      case EVENT.acceptFailed:
        return handler.onAcceptFailed(a);
      case EVENT.connected:
        return handler.onConnected();
      case EVENT.failed:
        return handler.onFailed(a);
      case EVENT.drained:
        return handler.onDrained();
      case EVENT.record:
        return handler.onRecord(kind >> 8, a, b);
      case EVENT.recordFault:
        return handler.onRecordFault(a);
      case EVENT.keyLimit:
        return handler.onKeyLimit();
      case EVENT.sendFailed:
        return handler.onSendFailed(a);
    }
  }

  #assertAlive(): void {
    if (this.#isDisposed) throw new Error('Cannot use the engine: it is disposed');
  }
}

/** Name of an errno as the kernel headers have it: `ECONNREFUSED` for 111. */
export function errnoName(errno: number): string {
  for (const [name, value] of Object.entries(constants.errno)) {
    if (value === errno) return name;
  }
  return `errno ${errno}`;
}
