import type { Engine } from '../kernel/engine.ts';
import { HpackEncoder } from '../wire/hpack.ts';
import {
  CLIENT_PREFACE,
  FRAME_FLAG,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  SETTING,
  encodeSettings,
  writeFrameHeader,
  type Setting,
} from '../wire/http2.ts';
import type { HboneSettings, HeaderList } from './api.ts';
import type { Outbox } from './outbox.ts';

const DEFAULT_FRAME_BYTES = 16_384;
/** Fields of a CONNECT that are new each time: in the table they would push out what repeats. */
const UNINDEXED: ReadonlySet<string> = new Set(['forwarded', 'traceparent']);

/** Frames of one connection into its outbox; whether they may be sent is the caller's to know. */
export class FrameWriter {
  /** SETTINGS_MAX_FRAME_SIZE of the peer. */
  peerMaxFrameBytes = DEFAULT_FRAME_BYTES;
  /** True once the connection is over: nothing more is written. */
  isOver = false;
  readonly #engine: Engine;
  readonly #outbox: Outbox;
  readonly #encoder = new HpackEncoder({ unindexed: UNINDEXED });

  constructor(engine: Engine, outbox: Outbox) {
    this.#engine = engine;
    this.#outbox = outbox;
  }

  /** SETTINGS_HEADER_TABLE_SIZE of the peer. */
  setMaxTableBytes(bytes: number): void {
    this.#encoder.setMaxTableBytes(bytes);
  }

  /** What a connection begins with: preface of a client, SETTINGS. */
  greet(role: 'client' | 'server', settings: HboneSettings): void {
    const own: readonly Setting[] =
      role === 'server'
        ? [[SETTING.maxConcurrentStreams, settings.maxConcurrentStreams]]
        : [[SETTING.enablePush, 0]];
    if (role === 'client') this.#outbox.sendCopy(CLIENT_PREFACE);
    this.#outbox.sendCopy(
      encodeSettings([
        ...own,
        [SETTING.initialWindowSize, settings.streamWindowBytes],
        [SETTING.maxFrameSize, settings.maxFrameBytes],
        [SETTING.maxHeaderListSize, settings.maxHeaderListBytes],
      ]),
    );
  }

  /** HEADERS (and CONTINUATION where the peer's frames are small). */
  headers(streamId: number, fields: HeaderList, isEndStream: boolean): void {
    const block = this.#encoder.encode(fields);
    const most = this.peerMaxFrameBytes;
    for (let at = 0; at === 0 || at < block.length; at += most) {
      const part = block.subarray(at, at + most);
      const type = at === 0 ? FRAME_TYPE.headers : FRAME_TYPE.continuation;
      const end = at + most >= block.length ? FRAME_FLAG.endHeaders : 0;
      this.frame(type, end | (at === 0 && isEndStream ? 1 : 0), streamId, part);
    }
  }

  /** DATA from the slab, its header in the headroom. */
  dataOfSlab(streamId: number, offset: number, length: number): void {
    const most = this.peerMaxFrameBytes;
    const first = Math.min(length, most);
    const { slab } = this.#engine;
    writeFrameHeader(slab, offset - FRAME_HEADER_BYTES, first, FRAME_TYPE.data, 0, streamId);
    this.#outbox.sendSlab(offset - FRAME_HEADER_BYTES, first + FRAME_HEADER_BYTES);
    for (let at = first; at < length; at += most) {
      const part = Math.min(length - at, most);
      this.#header(part, FRAME_TYPE.data, 0, streamId);
      this.#outbox.sendSlab(offset + at, part);
    }
  }

  /** DATA from anywhere. */
  dataOf(streamId: number, bytes: Uint8Array): void {
    const most = this.peerMaxFrameBytes;
    for (let at = 0; at < bytes.length; at += most) {
      const part = bytes.subarray(at, at + most);
      this.#header(part.length, FRAME_TYPE.data, 0, streamId);
      this.#outbox.sendCopy(part);
    }
  }

  /** An empty DATA frame with END_STREAM, as the genuine ztunnel ends a stream. */
  end(streamId: number): void {
    this.#header(0, FRAME_TYPE.data, FRAME_FLAG.endStream, streamId);
  }

  reset(streamId: number, code: number): void {
    this.frame(FRAME_TYPE.rstStream, 0, streamId, uint32(code));
  }

  /** Stream 0: of the connection. */
  windowUpdate(streamId: number, bytes: number): void {
    this.frame(FRAME_TYPE.windowUpdate, 0, streamId, uint32(bytes));
  }

  goaway(lastStreamId: number, code: number): void {
    const payload = Buffer.concat([uint32(lastStreamId), uint32(code)]);
    this.frame(FRAME_TYPE.goaway, 0, 0, payload);
  }

  frame(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    if (this.isOver) return;
    const length = FRAME_HEADER_BYTES + payload.length;
    const offset = this.#engine.reserve(length);
    const { control } = this.#engine;
    writeFrameHeader(control, offset, payload.length, type, flags, streamId);
    control.set(payload, offset + FRAME_HEADER_BYTES);
    this.#outbox.sendControl(offset, length);
  }

  #header(length: number, type: number, flags: number, streamId: number): void {
    if (this.isOver) return;
    const offset = this.#engine.reserve(FRAME_HEADER_BYTES);
    writeFrameHeader(this.#engine.control, offset, length, type, flags, streamId);
    this.#outbox.sendControl(offset, FRAME_HEADER_BYTES);
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
