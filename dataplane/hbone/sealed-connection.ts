import { errnoName, type Engine, type SlotHandler } from '../kernel/engine.ts';
import type { SocketAddress } from './api.ts';
import { ChannelError, TlsRecordError } from './errors.ts';
import { HANDSHAKE_TYPE, RECORD_TYPE } from './handshake-tracker.ts';
import { Outbox, type OutboxOwner } from './outbox.ts';
import type { TcpSocket } from './tcp-socket.ts';
import type { HandshakeResult } from './tls-handshake.ts';
import { nextSecret, recordKeys } from './tls-keys.ts';

/** RFC 8446 §6. */
const ALERT = { closeNotify: 0, unexpectedMessage: 10, decodeError: 50, userCanceled: 90 };
const LEVEL = { warning: 1, fatal: 2 };
/** RFC 8446 §5.5 lets AES-GCM seal 2^24.5 full records; well below, since the change is not at once. */
const DEFAULT_RECORD_LIMIT = 2 ** 23;
/** Post-handshake messages are small; a stranger may not make us gather more. */
const MOST_MESSAGE_BYTES = 64 * 1024;
/** KeyUpdates without data between them that are still taken for honest. */
const MOST_IDLE_KEY_UPDATES = 32;

/** How long a closing connection may take to hand over what is queued. */
const CLOSE_MS = 5_000;

/** What the protocol above is told. Offsets are valid only during the call. */
export interface SealedOwner {
  onPlain(offset: number, length: number): void;
  /** The connection is over: undefined after close_notify, else why. Told once. */
  onOver(error: Error | undefined): void;
  onBlocked(): void;
  onUnblocked(): void;
  /** Bytes that passed without `onPlain` being told, since the connection began. */
  passedBytes(): number;
}

/** A TLS 1.3 connection after its handshake: records in the engine, messages and keys here. */
export class SealedConnection implements SlotHandler, OutboxOwner {
  readonly engine: Engine;
  readonly local: SocketAddress;
  readonly peer: SocketAddress;
  readonly outbox: Outbox;
  readonly #socket: TcpSocket;
  readonly #owner: SealedOwner;
  readonly #suite: number;
  readonly #recordLimit: number;
  #readSecret: Buffer;
  #writeSecret: Buffer;
  #message: Buffer = Buffer.alloc(0);
  #idleKeyUpdates = 0;
  #passedBytes = 0;
  #keyUpdatesSent = 0;
  #keyUpdatesReceived = 0;
  #isOver = false;
  #isClosing = false;
  #closeTimer: NodeJS.Timeout | undefined;

  /** Attaches the keys of `result`; reading starts with `start`. */
  constructor(
    socket: TcpSocket,
    result: HandshakeResult,
    owner: SealedOwner,
    recordLimit: number = DEFAULT_RECORD_LIMIT,
  ) {
    this.engine = socket.engine;
    this.local = socket.local;
    this.peer = socket.peer;
    this.#socket = socket;
    this.#owner = owner;
    this.#suite = result.suite;
    this.#recordLimit = recordLimit;
    this.#readSecret = result.readSecret;
    this.#writeSecret = result.writeSecret;
    // The last handshake bytes must leave before the key turns everything into records.
    socket.outbox.flush();
    this.outbox = new Outbox(this.engine, socket.slot, this);
    this.engine.handle(socket.slot, this);
    this.#attachWriteKey(result.writeSequence);
    this.engine.attach(socket.slot, 'read', this.#suite, this.#keys(this.#readSecret), 0);
    this.engine.inject(socket.slot, result.unread);
  }

  get keyUpdatesSent(): number {
    return this.#keyUpdatesSent;
  }

  get keyUpdatesReceived(): number {
    return this.#keyUpdatesReceived;
  }

  get slot(): number {
    return this.#socket.slot;
  }

  start(): void {
    if (!this.#isOver) this.engine.read(this.#socket.slot, true);
  }

  /** KeyUpdate (RFC 8446 §4.6.3), then the next key. */
  updateWriteKey(requestPeer = false): void {
    if (this.#isOver) return;
    this.outbox.flush();
    const message = Buffer.from([HANDSHAKE_TYPE.keyUpdate, 0, 0, 1, requestPeer ? 1 : 0]);
    this.#sendRecord(RECORD_TYPE.handshake, message);
    if (this.#isOver) return;
    this.#keyUpdatesSent++;
    this.#writeSecret = nextSecret(this.#writeSecret);
    this.#attachWriteKey(0);
  }

  /**
   * Sends what is queued, close_notify and FIN, then closes; a peer that does not read is not waited
   * for longer than some seconds. The owner hears nothing more.
   */
  close(): void {
    if (this.#isOver || this.#isClosing) return;
    this.#isClosing = true;
    this.#closeTimer = setTimeout(() => this.#end(undefined), CLOSE_MS);
    this.#closeTimer.unref();
    this.#sayAlert(LEVEL.warning, ALERT.closeNotify);
    // The peer may be gone already: then sending has ended the connection and freed the slot.
    if (this.#isOver) return;
    this.engine.read(this.#socket.slot, false);
    this.outbox.finish();
    this.outbox.whenEmpty(() => this.#end(undefined));
  }

  /** Closes without waiting; queued bytes that the kernel has not taken are lost. */
  destroy(): void {
    if (this.#isOver) return;
    this.outbox.flush();
    this.#isClosing = true;
    this.#end(undefined);
  }

  onData(offset: number, length: number): void {
    this.#idleKeyUpdates = 0;
    if (!this.#isClosing) this.#owner.onPlain(offset, length);
  }

  /** FIN without close_notify: the peer, or somebody on the way, cut the connection. */
  onEnd(): void {
    this.#end(new ChannelError('EOF'));
  }

  onFailed(errno: number): void {
    this.#end(new ChannelError(errnoName(errno)));
  }

  onDrained(): void {
    this.outbox.onDrained();
  }

  onRecord(type: number, offset: number, length: number): void {
    if (this.#isOver) return;
    const content = this.engine.slab.subarray(offset, offset + length);
    if (type === RECORD_TYPE.alert) return this.#onAlert(content);
    if (type !== RECORD_TYPE.handshake) return this.onRecordFault(ALERT.unexpectedMessage);
    this.#message = Buffer.concat([this.#message, content]);
    while (this.#message.length >= 4 && !this.#isOver) {
      const end = 4 + this.#message.readUIntBE(1, 3);
      if (end > MOST_MESSAGE_BYTES) return this.onRecordFault(ALERT.decodeError);
      if (this.#message.length < end) break;
      const message = this.#message.subarray(0, end);
      this.#message = this.#message.subarray(end);
      this.#onMessage(message);
    }
    if (!this.#isOver) this.engine.release(this.#socket.slot);
  }

  /** Something that TLS forbids: a fatal alert, and the end. */
  onRecordFault(alert: number): void {
    if (this.#isOver) return;
    this.#sayAlert(LEVEL.fatal, alert);
    this.#end(new TlsRecordError(alert, false));
  }

  onKeyLimit(): void {
    this.updateWriteKey();
  }

  onBlocked(): void {
    this.#owner.onBlocked();
  }

  onUnblocked(): void {
    this.#owner.onUnblocked();
  }

  onBroken(error: ChannelError): void {
    this.#end(error);
  }

  onSendFailed(errno: number): void {
    this.outbox.fail(errno);
  }

  onConnected(): void {}
  onAccept(): void {}
  onAcceptFailed(): void {}

  #onMessage(message: Buffer): void {
    if (message[0] === HANDSHAKE_TYPE.newSessionTicket) return;
    const isKeyUpdate = message[0] === HANDSHAKE_TYPE.keyUpdate;
    if (!isKeyUpdate || message.length !== 5 || this.#message.length > 0) {
      return this.onRecordFault(ALERT.unexpectedMessage);
    }
    if (message[4]! > 1) return this.onRecordFault(ALERT.decodeError);
    const passedBytes = this.#owner.passedBytes();
    if (passedBytes > this.#passedBytes) this.#idleKeyUpdates = 0;
    this.#passedBytes = passedBytes;
    if (++this.#idleKeyUpdates > MOST_IDLE_KEY_UPDATES) {
      return this.onRecordFault(ALERT.unexpectedMessage);
    }
    this.#keyUpdatesReceived++;
    this.#readSecret = nextSecret(this.#readSecret);
    this.engine.attach(this.slot, 'read', this.#suite, this.#keys(this.#readSecret), 0);
    if (message[4] === 1) this.updateWriteKey();
  }

  #onAlert(content: Buffer): void {
    const description = content.length === 2 ? content[1]! : ALERT.decodeError;
    if (description === ALERT.userCanceled) return this.engine.release(this.slot);
    if (description !== ALERT.closeNotify) {
      return this.#end(new TlsRecordError(description, true));
    }
    this.#sayAlert(LEVEL.warning, ALERT.closeNotify);
    this.#end(undefined);
  }

  #sayAlert(level: number, description: number): void {
    this.outbox.flush();
    this.#sendRecord(RECORD_TYPE.alert, Buffer.from([level, description]));
  }

  #sendRecord(type: number, bytes: Buffer): void {
    if (this.#isOver || this.outbox.isBroken) return;
    this.outbox.notePending(this.engine.sendRecord(this.slot, type, bytes));
  }

  #attachWriteKey(sequence: number): void {
    const keys = this.#keys(this.#writeSecret);
    this.engine.attach(this.slot, 'write', this.#suite, keys, sequence, this.#recordLimit);
  }

  #keys(secret: Buffer): { key: Buffer; iv: Buffer } {
    return recordKeys(this.#suite, secret);
  }

  #end(error: Error | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#closeTimer);
    this.outbox.abandon();
    this.#socket.destroy();
    if (!this.#isClosing) this.#owner.onOver(error);
  }
}
