import type { Engine, SlotHandler } from '../kernel/engine.ts';
import type { KeepaliveOptions } from './api.ts';

/** A slot that cares for no event; kinds of slots override theirs. */
export class IgnoringHandler implements SlotHandler {
  onData(_offset: number, _length: number): void {}
  onEnd(): void {}
  onFailed(_errno: number): void {}
  onDrained(): void {}
  onConnected(): void {}
  onAccept(_slot: number): void {}
  onAcceptFailed(_errno: number): void {}
  onRecord(_type: number, _offset: number, _length: number): void {}
  onRecordFault(_alert: number): void {}
  onKeyLimit(): void {}
  onSendFailed(_errno: number): void {}
}

/** Applies TCP_NODELAY and keepalive; failures are ignored as in the genuine ztunnel. */
export function tuneSlot(
  engine: Engine,
  slot: number,
  keepalive: KeepaliveOptions | undefined,
): void {
  const { idleSeconds = 0, intervalSeconds = 0, probes = 0, userTimeoutMs = 0 } = keepalive ?? {};
  engine.tune(slot, idleSeconds, intervalSeconds, probes, userTimeoutMs);
}
