import type { HboneSettings } from './api.ts';

const SHARED = {
  streamWindowBytes: 4 << 20,
  connectionWindowBytes: 16 << 20,
  maxFrameBytes: 1 << 20,
  pingIntervalMs: 10_000,
  pingTimeoutMs: 20_000,
};

/** `facts/ztunnel.md` §2.2, client column. */
export const CLIENT_SETTINGS: HboneSettings = {
  ...SHARED,
  maxHeaderListBytes: 16_384,
  maxConcurrentStreams: 0,
};

/** `facts/ztunnel.md` §2.2, server column. */
export const SERVER_SETTINGS: HboneSettings = {
  ...SHARED,
  maxHeaderListBytes: 65_536,
  maxConcurrentStreams: 200,
};
