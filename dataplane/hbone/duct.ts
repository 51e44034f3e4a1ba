/** What a relay needs of a channel: the inner side of `ByteChannel`, on the engine's slab. */
import type { ByteChannel } from './api.ts';

export interface DuctReader {
  /** Bytes in the slab with at least `SLAB_HEADROOM_BYTES` free before them; valid in the call. */
  onSlab(offset: number, length: number): void;
  /** Bytes elsewhere (they waited for a reader); valid in the call. */
  onBytes(bytes: Buffer): void;
  onEnd(): void;
  onError(error: Error): void;
}

export interface DuctWatcher {
  /** The sink holds too much: its source should pause. */
  onBlocked(): void;
  onUnblocked(): void;
  /** The sink takes nothing any more. */
  onBroken(error: Error): void;
}

export interface Duct extends ByteChannel {
  /** Starts delivery. */
  attach(reader: DuctReader, watcher: DuctWatcher): void;
  pauseReading(): void;
  resumeReading(): void;
  /** Queues slab bytes of this turn; may write into the headroom before them. */
  sendSlab(offset: number, length: number): void;
  readonly isBlocked: boolean;
  /** The relay is over: close the descriptor, or end the stream (CANCEL where it is still open). */
  release(): void;
}

/** True for every channel that the data path makes. */
export function isDuct(channel: ByteChannel): channel is Duct {
  return 'attach' in channel && 'sendSlab' in channel;
}
