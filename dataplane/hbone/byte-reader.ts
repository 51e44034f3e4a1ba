import type { Engine } from '../kernel/engine.ts';
import type { ByteReader } from './api.ts';
import type { DuctReader, DuctWatcher } from './duct.ts';

/** For a sink that nobody feeds through a relay. */
export const IGNORING_WATCHER: DuctWatcher = {
  onBlocked() {},
  onUnblocked() {},
  onBroken() {},
};

/** The reader of a relay that hands plain buffers to a caller's reader. */
export function readerOf(engine: Engine, reader: ByteReader): DuctReader {
  return {
    onSlab: (offset, length) => reader.onBytes(engine.slab.subarray(offset, offset + length)),
    onBytes: (bytes) => reader.onBytes(bytes),
    onEnd: () => reader.onEnd(),
    onError: (error) => reader.onError(error),
  };
}
