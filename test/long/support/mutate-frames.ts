import { HpackEncoder } from '../../../dataplane/wire/hpack.ts';
import {
  CLIENT_PREFACE,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  encodeFrame,
  encodeSettings,
  readFrameHeader,
  writeFrameHeader,
} from '../../../dataplane/wire/http2.ts';
import { mutateBytes, oddNumber } from './mutate.ts';
import type { Random } from './random.ts';

interface CutFrame {
  type: number;
  flags: number;
  streamId: number;
  payload: Buffer;
}

/** Over the limit of frames that a peer may send to no use, without filling the memory. */
const MAX_REPEAT_BYTES = 256 * 1024;

/** Pieces that mean something inside a frame. */
const PAYLOAD_WORDS = [
  ...[
    '0001',
    '0002',
    '0003',
    '0004',
    '0005',
    '0006',
    '7fffffff',
    '80000000',
    '00000000',
    '82',
    '84',
  ],
  ...[
    '3fe11f',
    '3fffffffff7f',
    '207f',
    '40',
    '0f',
    '1f',
    'ff',
    '7f00',
    'be',
    '00000001',
    '3b7cdb7a0b8716b4',
  ],
].map((hex) => Buffer.from(hex, 'hex'));

/** What clients send on a connection: preface, SETTINGS, CONNECT, DATA and every other frame. */
export function clientStreams(authority = '127.0.0.1:8080'): readonly Buffer[] {
  const connect: [string, string][] = [
    [':method', 'CONNECT'],
    [':authority', authority],
    ['baggage', 'k8s.cluster.name=Kubernetes'],
    ['traceparent', '00-3fc77c42b4a386d47431a0c15c47b939-a58ae573110dc35d-00'],
  ];
  const start = [
    CLIENT_PREFACE,
    encodeSettings([
      [4, 4_194_304],
      [5, 1_048_576],
      [6, 16_384],
    ]),
  ];
  return [
    Buffer.concat([...start, ...requestFrames(connect)]),
    Buffer.concat([...start, ...oddFrames(connect)]),
  ];
}

/** What servers send: SETTINGS, an answer, DATA, the end. */
export function serverStreams(): readonly Buffer[] {
  const answer: [string, string][] = [
    [':status', '200'],
    ['baggage', 'k8s.cluster.name=Kubernetes'],
  ];
  const start = [
    encodeSettings([
      [3, 200],
      [4, 4_194_304],
      [5, 1_048_576],
      [6, 65_536],
    ]),
  ];
  return [
    Buffer.concat([...start, ...requestFrames(answer)]),
    Buffer.concat([...start, ...oddFrames(answer)]),
  ];
}

function requestFrames(fields: [string, string][]): readonly Buffer[] {
  return [
    encodeFrame(FRAME_TYPE.windowUpdate, 0, 0, Buffer.from('00ff0001', 'hex')),
    encodeFrame(FRAME_TYPE.settings, 1, 0, Buffer.alloc(0)),
    encodeFrame(FRAME_TYPE.headers, 4, 1, new HpackEncoder().encode(fields)),
    encodeFrame(FRAME_TYPE.data, 0, 1, Buffer.from('hello there')),
    encodeFrame(FRAME_TYPE.ping, 0, 0, Buffer.from('3b7cdb7a0b8716b4', 'hex')),
    encodeFrame(FRAME_TYPE.data, 8, 1, Buffer.from('04686900000000', 'hex')),
    encodeFrame(FRAME_TYPE.windowUpdate, 0, 1, Buffer.from('00010000', 'hex')),
    encodeFrame(FRAME_TYPE.data, 1, 1, Buffer.alloc(0)),
  ];
}

function oddFrames(fields: [string, string][]): readonly Buffer[] {
  const block = new HpackEncoder().encode(fields);
  const priority = Buffer.from('0000000010', 'hex');
  return [
    encodeFrame(FRAME_TYPE.settings, 0, 0, Buffer.from('000100000000', 'hex')),
    encodeFrame(FRAME_TYPE.priority, 0, 1, priority),
    encodeFrame(FRAME_TYPE.headers, 0x20, 1, Buffer.concat([priority, block.subarray(0, 5)])),
    encodeFrame(FRAME_TYPE.continuation, 0, 1, block.subarray(5, 9)),
    encodeFrame(FRAME_TYPE.continuation, 4, 1, block.subarray(9)),
    encodeFrame(0x20, 0xff, 7, Buffer.from('of no known type')),
    encodeFrame(FRAME_TYPE.data, 0, 1, Buffer.alloc(2_000, 'x')),
    encodeFrame(FRAME_TYPE.rstStream, 0, 1, Buffer.from('00000008', 'hex')),
    encodeFrame(FRAME_TYPE.ping, 1, 0, Buffer.alloc(8)),
    encodeFrame(FRAME_TYPE.goaway, 0, 0, Buffer.from('0000000100000000', 'hex')),
  ];
}

/**
 * A stream of frames with some changes: headers rewritten, payloads mutated, frames doubled, cut
 * out, exchanged, taken from another stream; at times the bytes themselves, lengths included.
 */
export function mutateFrames(random: Random, seeds: readonly Buffer[]): Buffer {
  if (random.once(4)) return mutateBytes(random, seeds, { dictionary: PAYLOAD_WORDS });
  const { head, frames } = cutFrames(random.pick(seeds));
  const others = cutFrames(random.pick(seeds)).frames;
  for (let left = random.changes(); left > 0; left--) changeFrames(frames, others, random);
  const encoded = frames.map((frame) => encodeCut(frame, random));
  return Buffer.concat([head, ...encoded]);
}

function changeFrames(frames: CutFrame[], others: readonly CutFrame[], random: Random): void {
  const at = random.below(frames.length);
  const frame = frames[at];
  if (frame === undefined) return;
  switch (random.below(8)) {
    case 0:
      frames.splice(at, 1);
      break;
    case 1: {
      const most = Math.min(12_000, Math.floor(MAX_REPEAT_BYTES / (frame.payload.length + 9)));
      const times = random.once(20) ? random.below(most) : random.below(4);
      frames.splice(at, 0, ...Array.from({ length: times }, () => ({ ...frame })));
      break;
    }
    case 2:
      frames.splice(random.below(frames.length), 0, ...frames.splice(at, 1));
      break;
    case 3:
      frames.splice(at, 0, { ...random.pick(others) });
      break;
    case 4:
      frame.flags = random.once(2) ? frame.flags ^ (1 << random.below(8)) : random.below(256);
      break;
    case 5:
      frame.streamId = oddNumber(random, frame.streamId, 0x7fffffff);
      break;
    case 6:
      frame.type = random.below(12);
      break;
    default: {
      const grammar = { dictionary: PAYLOAD_WORDS, maxBytes: 20_000 };
      frame.payload = mutateBytes(random, [frame.payload], grammar);
    }
  }
}

/** One frame; once in a while its header lies about the length. */
function encodeCut(frame: CutFrame, random: Random): Buffer {
  const bytes = encodeFrame(frame.type, frame.flags, frame.streamId, frame.payload);
  if (!random.once(200)) return bytes;
  const length = oddNumber(random, frame.payload.length, 0xffffff);
  writeFrameHeader(bytes, 0, length, frame.type, frame.flags, frame.streamId);
  return bytes;
}

function cutFrames(stream: Buffer): { readonly head: Buffer; readonly frames: CutFrame[] } {
  const hasPreface = stream.subarray(0, CLIENT_PREFACE.length).equals(CLIENT_PREFACE);
  const start = hasPreface ? CLIENT_PREFACE.length : 0;
  const frames: CutFrame[] = [];
  for (let at = start; at < stream.length;) {
    const header = { length: 0, type: 0, flags: 0, streamId: 0 };
    const { length, type, flags, streamId } = readFrameHeader(stream, at, header);
    const end = at + FRAME_HEADER_BYTES + length;
    frames.push({ type, flags, streamId, payload: stream.subarray(at + FRAME_HEADER_BYTES, end) });
    at = end;
  }
  return { head: stream.subarray(0, start), frames };
}
