import type { Engine, SlotHandler } from '../kernel/engine.ts';
import type { KeepaliveOptions } from './api.ts';

/** For the events that a kind of slot never has. */
export const IGNORING_HANDLER: SlotHandler = {
  onData() {},
  onEnd() {},
  onFailed() {},
  onDrained() {},
  onConnected() {},
  onAccept() {},
  onAcceptFailed() {},
  onRecord() {},
  onRecordFault() {},
  onKeyLimit() {},
};

/** Applies TCP_NODELAY and keepalive; failures are ignored as in the genuine ztunnel. */
export function tuneSlot(
  engine: Engine,
  slot: number,
  keepalive: KeepaliveOptions | undefined,
): void {
  const { idleSeconds = 0, intervalSeconds = 0, probes = 0, userTimeoutMs = 0 } = keepalive ?? {};
  engine.tune(slot, idleSeconds, intervalSeconds, probes, userTimeoutMs);
}
