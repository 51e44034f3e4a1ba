/** Fuzz targets behind the capture file: frames, clear streams, and what TLS protects. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HpackEncoder } from '../../dataplane/wire/hpack.ts';
import { CLIENT_PREFACE, encodeFrame, encodeSettings } from '../../dataplane/wire/http2.ts';
import { encodeProxyV2 } from '../../dataplane/wire/proxy-protocol.ts';
import { TLS13_SUITES } from '../../dataplane/wire/tls.ts';
import { RecordProtection } from '../../dataplane/wire/tls-record.ts';
import { PcapngReader } from '../../lab/capture/pcapng-read.ts';
import { encodePacket, encodePcapngHead } from '../../lab/capture/pcapng-write.ts';
import { columnText } from '../../lab/facts/dissect/columns.ts';
import { dissect } from '../../lab/facts/dissect/dissect.ts';
import { HANDSHAKE, captureOf, down, up } from '../unit/support/tcp-frames.ts';

const FIXTURE = readFileSync(join(import.meta.dirname, '../fixtures/captures/mixed.pcapng'));
const SEGMENT_BYTES = 61;
const SUITE = TLS13_SUITES.get(0x1301)!;
const SECRET = Buffer.alloc(32, 1);
const RANDOM = Buffer.alloc(32, 2);

/** How our own faults begin; an error of the language itself in their place is a bug of ours. */
const FAULT = /^Cannot (?!read propert|destructure|access|convert|mix)/;

/**
 * Dissects a capture and looks at everything that was found. False where it found faults.
 * @throws TypeError where a fault is none of the typed ones
 */
export function dissectAll(file: Buffer): boolean {
  const capture = dissect([file]);
  for (const observed of capture.interfaces) {
    void columnText(capture, observed).length;
    for (let row = 0; row < observed.frames.count; row++) {
      void observed.frames.at(observed.frames.numbers[row]!)?.layers;
    }
  }
  const faults = [...capture.interfaces, ...capture.conversations].flatMap((part) => part.faults);
  for (const { message } of faults) if (!FAULT.test(message)) throw new TypeError(message);
  return faults.length === 0;
}

/** Frames of the fixture that are not bulk. */
export function frameSeeds(): Buffer[] {
  const frames: Buffer[] = [];
  const reader = new PcapngReader({
    packet: (buffer, { dataOffset, capturedBytes }) => {
      if (capturedBytes < 3000)
        frames.push(buffer.subarray(dataOffset, dataOffset + capturedBytes));
    },
  });
  reader.push(FIXTURE);
  return frames;
}

const FRAMES = frameSeeds();

/** A mutated frame between good ones of the same connections. */
export function feedFrame(input: Buffer): boolean {
  const blocks = [...FRAMES.slice(0, 20), input, ...FRAMES.slice(20, 24), input].map((data, i) =>
    encodePacket({ interfaceId: 0, timeNs: BigInt(i), data }),
  );
  return dissectAll(
    Buffer.concat([encodePcapngHead({ interfaces: [{ name: 'a/b' }] }), ...blocks]),
  );
}

/** Streams that a proxy's clients send in the clear. */
export function streamSeeds(): Buffer[] {
  const http = 'POST /a HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nabcGET /c HTTP/1.1\r\n\r\n';
  const chunks =
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nHTTP/1.1 204 x\r\n\r\n';
  const [source, destination] = [
    { address: '10.0.0.1', port: 1 },
    { address: '10.0.0.2', port: 2 },
  ];
  return [
    Buffer.from(http),
    Buffer.from(chunks),
    Buffer.concat([encodeProxyV2(source, destination), Buffer.from(http)]),
    http2Stream(),
    clientHello(),
  ];
}

/** The same bytes as what the client and what the server says. */
export function feedStream(input: Buffer): boolean {
  return dissectAll(
    captureOf([...HANDSHAKE, ...segmentsOf(input, up, 101), ...segmentsOf(input, down, 501)]),
  );
}

/** What TLS protects: messages of the handshake and HTTP/2 behind them. */
export function protectedSeeds(): Buffer[] {
  const extensions = Buffer.from('0009 0010 0005 0003 02 6832'.replaceAll(' ', ''), 'hex');
  const certificate = Buffer.from('00 000008 000003 010203 0000'.replaceAll(' ', ''), 'hex');
  const finished = message(20, Buffer.alloc(32));
  const flight = Buffer.concat([
    message(8, extensions),
    message(13, Buffer.alloc(8)),
    message(11, certificate),
    finished,
  ]);
  return [flight, Buffer.concat([flight, message(24, Buffer.from([0]))]), http2Stream()];
}

/** Seals the input as handshake and, once more, as data; both under keys that the file holds. */
export function feedProtected(input: Buffer): boolean {
  const finished = message(20, Buffer.alloc(32));
  const stream = (hello: Buffer): Buffer => {
    const [handshake, data] = [
      new RecordProtection(SUITE, SECRET),
      new RecordProtection(SUITE, SECRET),
    ];
    const half = input.length >> 1;
    return Buffer.concat([
      record(hello),
      handshake.seal(22, input.subarray(0, half)),
      handshake.seal(22, Buffer.concat([input.subarray(half), finished])),
      data.seal(22, input.subarray(0, half)),
      data.seal(23, input),
      data.seal(21, input.subarray(0, 2)),
    ]);
  };
  const labels = [
    'CLIENT_HANDSHAKE_TRAFFIC_SECRET',
    'SERVER_HANDSHAKE_TRAFFIC_SECRET',
    'CLIENT_TRAFFIC_SECRET_0',
    'SERVER_TRAFFIC_SECRET_0',
  ];
  const keyLog = labels
    .map((label) => `${label} ${RANDOM.toString('hex')} ${SECRET.toString('hex')}\n`)
    .join('');
  const segments = [
    ...HANDSHAKE,
    ...segmentsOf(stream(clientHello().subarray(5)), up, 101),
    ...segmentsOf(stream(serverHello()), down, 501),
  ];
  return dissectAll(captureOf(segments, 'a/b', 0n, keyLog));
}

function segmentsOf(bytes: Buffer, segment: typeof up, sequence: number) {
  const segments = [];
  for (let at = 0; at < bytes.length; at += SEGMENT_BYTES) {
    segments.push(segment(sequence + at, bytes.toString('latin1', at, at + SEGMENT_BYTES)));
  }
  return segments;
}

function http2Stream(): Buffer {
  const block = new HpackEncoder().encode([
    [':method', 'CONNECT'],
    [':authority', '10.244.2.10:8080'],
  ]);
  return Buffer.concat([
    CLIENT_PREFACE,
    encodeSettings([[4, 65_535]]),
    encodeFrame(1, 0, 1, block.subarray(0, 3)),
    encodeFrame(9, 0x4, 1, block.subarray(3)),
    encodeFrame(0, 0x9, 1, Buffer.from('\x02data..')),
    encodeFrame(3, 0, 1, Buffer.alloc(4)),
  ]);
}

function message(type: number, body: Buffer): Buffer {
  const header = Buffer.from([type, 0, body.length >> 8, body.length]);
  return Buffer.concat([header, body]);
}

function record(content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([22, 3, 1, content.length >> 8, content.length]), content]);
}

function clientHello(): Buffer {
  const rest = Buffer.from(
    '00 0002 1301 01 00 0009 0010 0005 0003 02 6832'.replaceAll(' ', ''),
    'hex',
  );
  return record(message(1, Buffer.concat([Buffer.from([3, 3]), RANDOM, rest])));
}

function serverHello(): Buffer {
  const rest = Buffer.from('00 1301 00 0006 002b 0002 0304'.replaceAll(' ', ''), 'hex');
  return message(2, Buffer.concat([Buffer.from([3, 3]), Buffer.alloc(32, 3), rest]));
}
