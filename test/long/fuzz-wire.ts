/** Mutated inputs for everything that reads bytes from outside, and what may come of them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DNS_TYPE, decodeDns, encodeDns, type DnsMessage } from '../../dataplane/wire/dns.ts';
import { HpackDecoder, HpackEncoder } from '../../dataplane/wire/hpack.ts';
import {
  CLIENT_PREFACE,
  contentRange,
  decodeSettings,
  encodeFrame,
  encodeSettings,
} from '../../dataplane/wire/http2.ts';
import { FrameReader } from '../../dataplane/wire/http2-reader.ts';
import { decodeProxyV2, encodeProxyV2 } from '../../dataplane/wire/proxy-protocol.ts';
import { PcapngReader } from '../../lab/capture/pcapng-read.ts';
import { encodePacket, encodePcapngHead } from '../../lab/capture/pcapng-write.ts';
import {
  dissectAll,
  feedFrame,
  feedProtected,
  feedStream,
  frameSeeds,
  protectedSeeds,
  streamSeeds,
} from './fuzz-streams.ts';

/** One reader under attack: good inputs to start from, and how to feed one. */
export interface FuzzTarget {
  readonly name: string;
  readonly seeds: readonly Buffer[];
  /** Throws, or says false, where the input was found to be bad. */
  readonly feed: (input: Buffer) => boolean | void;
}

/** Names of the errors that bad bytes may give. */
export const TYPED_ERRORS: ReadonlySet<string> = new Set([
  'HpackError',
  'Http2Error',
  'PcapngError',
  'WireError',
]);

/** xorshift32: the same seed gives the same inputs on every machine. */
export function randomSource(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const ODD_BYTES = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff];

/** A copy of `seed` with a few bytes changed, put in, taken out, repeated or cut off. */
export function mutate(
  seed: Buffer,
  others: readonly Buffer[],
  random: (below: number) => number,
): Buffer {
  let bytes = Buffer.from(seed);
  // Half of the inputs keep their length, so that what counts bytes is not all that is tried.
  const firstKind = random(2) ? 0 : 4;
  for (let changes = 1 + random(6); changes > 0; changes--) {
    const at = random(bytes.length + 1);
    const length = random(2) ? random(8) : random(64);
    switch (firstKind + random(8 - firstKind)) {
      case 0:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
        break;
      case 1:
        bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
        break;
      case 2:
        bytes = bytes.subarray(0, at);
        break;
      case 3: {
        const other = others[random(others.length)]!;
        const from = random(other.length + 1);
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          other.subarray(from, from + length),
          bytes.subarray(at),
        ]);
        break;
      }
      case 4:
        if (at < bytes.length) bytes[at] = ODD_BYTES[random(ODD_BYTES.length)]!;
        break;
      case 5:
        for (let i = at; i < Math.min(bytes.length, at + 4); i++) bytes[i] = random(2) ? 0xff : 0;
        break;
      default:
        if (at < bytes.length) bytes[at] = random(256);
    }
  }
  return bytes;
}

const FIXTURE = readFileSync(join(import.meta.dirname, '../fixtures/captures/mixed.pcapng'));
/** The section and the secrets of the fixture, and some frames of each kind of its traffic. */
const CAPTURES = captureSeeds();

/** The readers that the project promises to be unbreakable. */
export function fuzzTargets(): FuzzTarget[] {
  return [
    { name: 'PcapngReader', seeds: pcapngSeeds(), feed: feedPcapng },
    { name: 'dissect()', seeds: CAPTURES, feed: dissectAll },
    { name: 'dissect() of frames', seeds: frameSeeds(), feed: feedFrame },
    { name: 'dissect() of streams', seeds: streamSeeds(), feed: feedStream },
    { name: 'dissect() behind TLS', seeds: protectedSeeds(), feed: feedProtected },
    { name: 'FrameReader', seeds: http2Seeds(), feed: feedHttp2 },
    { name: 'HpackDecoder', seeds: HPACK_BLOCKS, feed: feedHpack },
    { name: 'decodeDns()', seeds: dnsSeeds(), feed: feedDns },
    {
      name: 'decodeProxyV2()',
      seeds: [
        encodeProxyV2({ address: '10.0.0.1', port: 1 }, { address: '10.0.0.2', port: 2 }, [
          { type: 0xd0, value: Buffer.from('spiffe://cluster.local/ns/a/sa/b') },
        ]),
      ],
      feed: (input) => void decodeProxyV2(input),
    },
  ];
}

/** Blocks of the fixture, cut out whole. */
function blocksOf(file: Buffer): Buffer[] {
  const blocks: Buffer[] = [];
  for (let at = 0; at < file.length;) {
    const end = at + file.readUInt32LE(at + 4);
    blocks.push(file.subarray(at, end));
    at = end;
  }
  return blocks;
}

function captureSeeds(): Buffer[] {
  const blocks = blocksOf(FIXTURE);
  const head = blocks.filter((block) => block.readUInt32LE(0) !== 6);
  const packets = blocks.filter((block) => block.readUInt32LE(0) === 6 && block.length < 3000);
  const seeds: Buffer[] = [];
  // The first conversation from its first frame on, so that secrets and streams are at stake.
  for (let start = 0; start < packets.length; start += 36) {
    seeds.push(Buffer.concat([...head, ...packets.slice(start, start + 36)]));
  }
  return seeds;
}

function pcapngSeeds(): Buffer[] {
  const head = encodePcapngHead({
    comment: 'fuzz',
    keyLog: 'CLIENT_RANDOM a b\n',
    names: [['10.0.0.1', 'sleep.demo']],
    interfaces: [{ name: 'a/b', mac: '02:00:00:00:00:01' }],
  });
  const data = Buffer.from('some frame');
  const packet = encodePacket({ interfaceId: 0, timeNs: 1n, data, mark: 0x539, direction: 'in' });
  return [Buffer.concat([head, packet, packet]), ...CAPTURES.slice(0, 3)];
}

function feedPcapng(input: Buffer): void {
  const reader = new PcapngReader({
    packet: (buffer, { dataOffset, capturedBytes }) => {
      if (dataOffset + capturedBytes > buffer.length) throw new RangeError('frame past its buffer');
    },
    interface: () => {},
    keyLog: () => {},
    name: () => {},
    comment: () => {},
    statistics: () => {},
  });
  const half = input.length >> 1;
  reader.push(input.subarray(0, half));
  reader.push(input.subarray(half));
  reader.end();
}

function http2Seeds(): Buffer[] {
  const block = new HpackEncoder().encode([
    [':method', 'CONNECT'],
    [':authority', '10.244.2.10:8080'],
  ]);
  return [
    Buffer.concat([
      CLIENT_PREFACE,
      encodeSettings([
        [4, 65_535],
        [5, 16_384],
      ]),
      encodeFrame(1, 0x4, 1, block),
      encodeFrame(0, 0x8, 1, Buffer.from('\x02data..')),
      encodeFrame(8, 0, 0, Buffer.from([0, 1, 0, 0])),
      encodeFrame(3, 0, 1, Buffer.alloc(4)),
    ]),
  ];
}

function feedHttp2(input: Buffer): void {
  const decoder = new HpackDecoder(4096, 16_384);
  const reader = new FrameReader(
    ({ type, flags, length }, payload) => {
      if (type === 4 && (flags & 1) === 0) decodeSettings(payload);
      if (type > 1) return;
      const { start, end } = contentRange(type, flags, length, payload[0] ?? 0);
      if (type === 1) decoder.decode(payload.subarray(start, end));
    },
    { isClient: true, maxFrameBytes: 16_384 },
  );
  for (let at = 0; at < input.length; at += 23) reader.push(input.subarray(at, at + 23));
}

function hpackSeeds(): Buffer[] {
  const encoder = new HpackEncoder();
  return Array.from({ length: 8 }, (_, i) =>
    encoder.encode([
      [':method', 'CONNECT'],
      [':authority', `10.244.2.${i}:8080`],
      ['forwarded', 'for=10.244.1.10'],
      ['baggage', 'k8s.cluster.name=Kubernetes'],
      [`x-${i % 3}`, '\u00ff\u0000'.repeat(i)],
      ['authorization', 'secret'],
    ]),
  );
}

function feedHpack(input: Buffer): void {
  const decoder = new HpackDecoder(4096, 16_384);
  for (const block of HPACK_BLOCKS) decoder.decode(block);
  decoder.decode(input);
  if (decoder.tableBytes > 4096) throw new RangeError('table over its limit');
}

/** Decoded before each input: later ones point into the table that earlier ones filled. */
const HPACK_BLOCKS = hpackSeeds();

function dnsSeeds(): Buffer[] {
  const question = { name: 'httpbin.demo.svc.cluster.local', type: DNS_TYPE.A, class: 1 };
  const record = {
    ...question,
    ttlSeconds: 30,
    data: { kind: 'address' as const, address: '10.96.0.1' },
  };
  const srv = { kind: 'srv' as const, priority: 0, weight: 0, port: 1, target: question.name };
  const message: DnsMessage = {
    ...decodeDns(Buffer.alloc(12)),
    questions: [question],
    answers: [
      record,
      { ...record, type: DNS_TYPE.SRV, data: srv },
      { ...record, type: DNS_TYPE.TXT, data: { kind: 'txt', strings: [Buffer.from('a=b')] } },
      { ...record, type: DNS_TYPE.CNAME, data: { kind: 'name', name: 'x.demo.svc.cluster.local' } },
    ],
    edns: { udpPayloadBytes: 1232, version: 0, isDnssecOk: false, options: [] },
  };
  return [encodeDns(message), encodeDns({ ...message, answers: [] })];
}

/** What was read must also be writable, and come back the same. */
function feedDns(input: Buffer): void {
  const message = decodeDns(input);
  const again = decodeDns(encodeDns(message));
  if (again.questions.length !== message.questions.length) throw new RangeError('questions lost');
}
