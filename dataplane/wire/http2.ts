import { Http2Error } from './errors.ts';

/** First bytes of a client's connection (RFC 9113 section 3.4). */
export const CLIENT_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export const FRAME_HEADER_BYTES = 9;

/** RFC 9113 section 6. */
export const FRAME_TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FRAME_TYPE_NAMES: readonly string[] = [
  'DATA',
  'HEADERS',
  'PRIORITY',
  'RST_STREAM',
  'SETTINGS',
  'PUSH_PROMISE',
  'PING',
  'GOAWAY',
  'WINDOW_UPDATE',
  'CONTINUATION',
];

export const FRAME_FLAG = {
  endStream: 0x1,
  ack: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const;

/** RFC 9113 section 7. */
export const HTTP2_CODE = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;

/** Identifiers of RFC 9113 section 6.5.2, and RFC 8441's. */
export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const;

export interface FrameHeader {
  length: number;
  type: number;
  flags: number;
  streamId: number;
}

/** Reads the 9-byte header at `offset` into `into`, which the caller reuses. */
export function readFrameHeader(from: Uint8Array, offset: number, into: FrameHeader): FrameHeader {
  into.length = (from[offset]! << 16) | (from[offset + 1]! << 8) | from[offset + 2]!;
  into.type = from[offset + 3]!;
  into.flags = from[offset + 4]!;
  into.streamId =
    ((from[offset + 5]! & 0x7f) << 24) |
    (from[offset + 6]! << 16) |
    (from[offset + 7]! << 8) |
    from[offset + 8]!;
  return into;
}

/** Writes a frame header at `offset`; returns the offset after it. */
export function writeFrameHeader(
  into: Uint8Array,
  offset: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  into[offset] = length >>> 16;
  into[offset + 1] = length >>> 8;
  into[offset + 2] = length;
  into[offset + 3] = type;
  into[offset + 4] = flags;
  into[offset + 5] = streamId >>> 24;
  into[offset + 6] = streamId >>> 16;
  into[offset + 7] = streamId >>> 8;
  into[offset + 8] = streamId;
  return offset + FRAME_HEADER_BYTES;
}

/** A whole frame in memory of its own. */
export function encodeFrame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = new Uint8Array(0),
): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  writeFrameHeader(frame, 0, payload.length, type, flags, streamId);
  frame.set(payload, FRAME_HEADER_BYTES);
  return frame;
}

export type Setting = readonly [id: number, value: number];

/** A SETTINGS frame, its header included. */
export function encodeSettings(settings: readonly Setting[]): Buffer {
  const payload = Buffer.allocUnsafe(6 * settings.length);
  settings.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, 6 * i);
    payload.writeUInt32BE(value, 6 * i + 2);
  });
  return encodeFrame(FRAME_TYPE.settings, 0, 0, payload);
}

/**
 * Settings of a SETTINGS payload, in order, values checked as RFC 9113 section 6.5.2 asks.
 * @throws Http2Error
 */
export function decodeSettings(payload: Buffer): Setting[] {
  if (payload.length % 6 !== 0) {
    throw new Http2Error(
      HTTP2_CODE.frameSizeError,
      `Cannot read SETTINGS: ${payload.length} bytes, a multiple of 6 wished`,
    );
  }
  const settings: Setting[] = [];
  for (let at = 0; at < payload.length; at += 6) {
    const id = payload.readUInt16BE(at);
    const value = payload.readUInt32BE(at + 2);
    checkSetting(id, value);
    settings.push([id, value]);
  }
  return settings;
}

function checkSetting(id: number, value: number): void {
  if (id === SETTING.enablePush && value > 1) {
    throw new Http2Error(HTTP2_CODE.protocolError, `Cannot take ENABLE_PUSH ${value}, 0 or 1`);
  }
  if (id === SETTING.initialWindowSize && value > 0x7fffffff) {
    throw new Http2Error(
      HTTP2_CODE.flowControlError,
      `Cannot take INITIAL_WINDOW_SIZE ${value}, at most 2147483647`,
    );
  }
  if (id === SETTING.maxFrameSize && (value < 16_384 || value > 16_777_215)) {
    throw new Http2Error(
      HTTP2_CODE.protocolError,
      `Cannot take MAX_FRAME_SIZE ${value}, 16384 to 16777215`,
    );
  }
}

/**
 * Where the content lies in the payload of a DATA or HEADERS frame, padding and priority taken
 * off, as `start` and `end`.
 * @throws Http2Error where padding or priority do not fit
 */
export function contentRange(
  type: number,
  flags: number,
  length: number,
  firstByte: number,
): { start: number; end: number } {
  let start = 0;
  let end = length;
  if (flags & FRAME_FLAG.padded) {
    start = 1;
    end -= firstByte;
  }
  if (type === FRAME_TYPE.headers && flags & FRAME_FLAG.priority) start += 5;
  if (type === FRAME_TYPE.pushPromise) start += 4;
  if (end < start) {
    throw new Http2Error(
      HTTP2_CODE.protocolError,
      `Cannot read frame of type ${type}: padding or fields exceed its ${length} bytes`,
    );
  }
  return { start, end };
}
