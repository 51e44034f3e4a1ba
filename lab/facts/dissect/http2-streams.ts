import { FRAME_FLAG, FRAME_TYPE, contentRange } from '../../../dataplane/wire/http2.ts';
import type { Http2Frame, Http2Stream, Http2StreamHalf, Side } from './types.ts';

interface OpenHalf {
  dataBytes: number;
  readonly data: Http2Frame[];
  isEnded: boolean;
  resetCode: number | undefined;
}

interface OpenStream {
  readonly id: number;
  request: Http2Frame | undefined;
  response: Http2Frame | undefined;
  readonly client: OpenHalf;
  readonly server: OpenHalf;
}

/** Collects what the frames of both sides say of each stream. */
export class Http2Streams {
  readonly #streams = new Map<number, OpenStream>();
  /** The stream asked for last: frames of one come together. */
  #last: OpenStream | undefined;

  /** Takes a frame whose payload is at `payload` of `bytes`; its headers come later. */
  add(side: Side, frame: Http2Frame, bytes: Buffer, payload: number): void {
    const { type, flags, streamId, length } = frame;
    if (streamId === 0) return;
    if (type === FRAME_TYPE.data) {
      const half = this.#stream(streamId)[side];
      half.data.push(frame);
      half.dataBytes += length;
      if (flags & FRAME_FLAG.padded) {
        const { start, end } = contentRange(type, flags, length, bytes[payload] ?? 0);
        half.dataBytes -= length - (end - start);
      }
      if (flags & FRAME_FLAG.endStream) half.isEnded = true;
    } else if (type === FRAME_TYPE.headers) {
      if (flags & FRAME_FLAG.endStream) this.#stream(streamId)[side].isEnded = true;
    } else if (type === FRAME_TYPE.rstStream && length === 4) {
      this.#stream(streamId)[side].resetCode ??= bytes.readUInt32BE(payload);
    }
  }

  /** Takes a frame whose header list is there. */
  addHeaders(side: Side, frame: Http2Frame): void {
    if (frame.type !== FRAME_TYPE.headers) return;
    const stream = this.#stream(frame.streamId);
    if (side === 'client') stream.request ??= frame;
    else if (!isInterim(frame)) stream.response ??= frame;
  }

  /** In order of their identifiers. */
  finish(): Http2Stream[] {
    return [...this.#streams.values()].sort((a, b) => a.id - b.id).map(finishStream);
  }

  #stream(id: number): OpenStream {
    if (this.#last?.id === id) return this.#last;
    const known = this.#streams.get(id);
    if (known) return (this.#last = known);
    const opened: OpenStream = {
      id,
      request: undefined,
      response: undefined,
      client: newHalf(),
      server: newHalf(),
    };
    this.#streams.set(id, opened);
    return (this.#last = opened);
  }
}

function newHalf(): OpenHalf {
  return { dataBytes: 0, data: [], isEnded: false, resetCode: undefined };
}

function isInterim({ headers }: Http2Frame): boolean {
  return headerOf(headers, ':status')?.startsWith('1') === true;
}

function finishStream(stream: OpenStream): Http2Stream {
  const status = headerOf(stream.response?.headers, ':status');
  return {
    id: stream.id,
    request: stream.request,
    response: stream.response,
    method: headerOf(stream.request?.headers, ':method'),
    authority: headerOf(stream.request?.headers, ':authority'),
    status: status === undefined ? undefined : Number(status),
    client: stream.client satisfies Http2StreamHalf,
    server: stream.server,
  };
}

/** The first value of a header, undefined where it is absent. */
export function headerOf(headers: Http2Frame['headers'], name: string): string | undefined {
  return headers?.find(([key]) => key === name)?.[1];
}
