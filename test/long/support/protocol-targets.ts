import { deepStrictEqual, equal, ok } from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FrameParser } from '../../../dataplane/hbone/frame-parser.ts';
import { HeaderBlock } from '../../../dataplane/hbone/header-block.ts';
import { splitFields } from '../../../dataplane/hbone/header-fields.ts';
import {
  DNS_TYPE,
  decodeDns,
  encodeDns,
  type DnsMessage,
  type DnsRecord,
} from '../../../dataplane/wire/dns.ts';
import { HpackError, Http2Error, WireError } from '../../../dataplane/wire/errors.ts';
import { HpackDecoder } from '../../../dataplane/wire/hpack.ts';
import { FRAME_TYPE, decodeSettings } from '../../../dataplane/wire/http2.ts';
import { parseKeyLog } from '../../../dataplane/wire/tls-keys.ts';
import {
  decodeHello,
  decodeWorkloadRequest,
  decodeWorkloadResponse,
  encodeHello,
  encodeWorkloadRequest,
  encodeWorkloadResponse,
  ZdsError,
} from '../../../dataplane/zds/zds.ts';
import { answerLocally, refuse, udpLimit } from '../../../dataplane/ztunnel/dns/answer.ts';
import { MessageCutter } from '../../../dataplane/ztunnel/dns/tcp-framing.ts';
import { MeshState } from '../../../dataplane/ztunnel/state/mesh-state.ts';
import { parseStaticFile } from '../../../dataplane/ztunnel/state/static-file.ts';
import { CAPTURE_FILES } from '../../../lab/capture/layout.ts';
import { readEvidence } from '../../../lab/facts/evidence-files.ts';
import type { FuzzTarget, FuzzTargets } from './campaign.ts';
import { clientStreams, mutateFrames } from './mutate-frames.ts';
import { mutateBytes } from './mutate.ts';
import { mutateText } from './mutate-text.ts';
import type { Random } from './random.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures');

/** Tags of every field number and wire type, lengths that do not fit, the longest varints, groups. */
const PROTOBUF_WORDS = [
  ...Array.from({ length: 48 }, (_, tag) => Buffer.from([tag])),
  ...['0a00', '1200', '1a00', '2a00', '0a02', 'ffffffffffffffffff01', 'ffffffffffffffffffff01'],
  ...['8080808000', 'ffffffff0f', '3b3c', '0b', '0c', 'c0af', 'eda080', 'f4908080', '0a04120275'],
].map((word) => (typeof word === 'string' ? Buffer.from(word, 'hex') : word));

const isZdsError = (error: unknown): boolean =>
  error instanceof ZdsError && error.code === 'DATAPLANE_ZDS_INVALID';

function zdsRequest(): FuzzTarget<Buffer> {
  const workloadInfo = { name: 'sleep', namespace: 'demo', serviceAccount: 'sa' };
  const seeds = [
    encodeWorkloadRequest({ kind: 'add', uid: 'u1', workloadInfo }),
    encodeWorkloadRequest({ kind: 'add', uid: 'ü-\u{1f600}' }),
    encodeWorkloadRequest({ kind: 'keep', uid: 'x'.repeat(300) }),
    encodeWorkloadRequest({ kind: 'del', uid: 'u1' }),
    encodeWorkloadRequest({ kind: 'snapshotSent' }),
  ];
  return {
    name: 'ZDS, agent to ztunnel',
    seeds,
    mutate: (random) => mutateBytes(random, seeds, { dictionary: PROTOBUF_WORDS }),
    feed: (packet) => {
      const request = decodeWorkloadRequest(packet);
      deepStrictEqual(decodeWorkloadRequest(encodeWorkloadRequest(request)), request);
    },
    isPromised: isZdsError,
  };
}

interface ZdsAnswer {
  readonly kind: 'hello' | 'response';
  readonly packet: Buffer;
}

function zdsAnswer(): FuzzTarget<ZdsAnswer> {
  const hellos = [encodeHello(), encodeHello({ version: 300 })];
  const responses = [
    encodeWorkloadResponse(),
    encodeWorkloadResponse({ kind: 'ack', error: 'no such netns' }),
  ];
  const dictionary = PROTOBUF_WORDS;
  return {
    name: 'ZDS, ztunnel to agent',
    seeds: [
      ...hellos.map((packet) => ({ kind: 'hello' as const, packet })),
      ...responses.map((packet) => ({ kind: 'response' as const, packet })),
    ],
    mutate: (random) =>
      random.once(2)
        ? { kind: 'hello', packet: mutateBytes(random, hellos, { dictionary }) }
        : { kind: 'response', packet: mutateBytes(random, responses, { dictionary }) },
    feed: ({ kind, packet }) => {
      if (kind === 'hello') {
        ok(Number.isInteger(decodeHello(packet).version));
        return;
      }
      const response = decodeWorkloadResponse(packet);
      deepStrictEqual(decodeWorkloadResponse(encodeWorkloadResponse(response)), response);
    },
    isPromised: isZdsError,
  };
}

const DNS_WORDS = [
  ...['c00c', 'c000', 'ffff', 'c0ff', '00', '0001', '001c', '0005', '0006', '000c', '0010', '0021'],
  ...[
    '0029',
    '00ff',
    '000400000000',
    '00000000',
    '3f',
    '40',
    '80',
    '0161',
    '0377777700',
    'c00cc00c',
  ],
  ...['c00c00010001000000040004', '0000290000000000000000', '076578616d706c6503636f6d00'],
].map((hex) => Buffer.from(hex, 'hex'));

function dnsRecord(name: string, type: number, data: DnsRecord['data']): DnsRecord {
  return { name, type, class: 1, ttlSeconds: 30, data };
}

function dnsSeeds(): readonly Buffer[] {
  const name = 'httpbin.demo.svc.cluster.local';
  const query: DnsMessage = {
    id: 7,
    isResponse: false,
    opcode: 0,
    isAuthoritative: false,
    isTruncated: false,
    isRecursionDesired: true,
    isRecursionAvailable: false,
    isAuthenticData: false,
    isCheckingDisabled: false,
    rcode: 0,
    questions: [{ name, type: DNS_TYPE.A, class: 1 }],
    answers: [],
    authorities: [],
    additionals: [],
  };
  const options = [{ code: 10, data: Buffer.from('12345678') }];
  const edns = { udpPayloadBytes: 1232, version: 0, isDnssecOk: true, options };
  const srv = { kind: 'srv', priority: 1, weight: 2, port: 80, target: name } as const;
  const soa = {
    kind: 'soa',
    primary: 'ns.demo',
    mailbox: 'root.demo',
    serial: 1,
    refreshSeconds: 2,
    retrySeconds: 3,
    expireSeconds: 4,
    minimumSeconds: 5,
  } as const;
  const answers = [
    dnsRecord(name, DNS_TYPE.A, { kind: 'address', address: '10.96.0.17' }),
    dnsRecord(name, DNS_TYPE.AAAA, { kind: 'address', address: 'fd00::17' }),
    dnsRecord('alias.demo', DNS_TYPE.CNAME, { kind: 'name', name }),
    dnsRecord('_http._tcp.demo', DNS_TYPE.SRV, srv),
    dnsRecord('text.demo', DNS_TYPE.TXT, { kind: 'txt', strings: [Buffer.from('ab')] }),
    dnsRecord('a\\.b.c\\\\d.\\000e', 99, { kind: 'raw', data: Buffer.from([1, 2]) }),
  ];
  const authorities = [dnsRecord('demo', DNS_TYPE.SOA, soa)];
  const reply = { ...query, isResponse: true, answers, authorities };
  return [
    query,
    { ...query, edns },
    { ...query, questions: [{ name: 'server.demo', type: DNS_TYPE.AAAA, class: 1 }] },
    reply,
    { ...reply, additionals: [answers[0]!], edns },
  ].map((message) => encodeDns(message));
}

const DNS_MESH = `workloads:
- {uid: c, name: client, namespace: demo, workloadIps: ["10.0.0.2"], services: {}}
services:
- {name: httpbin, namespace: demo, hostname: httpbin.demo.svc.cluster.local, vips: ["/10.96.0.1", "/fd00::96"], ports: {80: 80}}
- {name: wild, namespace: demo, hostname: "*.example.com", vips: ["/10.96.0.5"], ports: {80: 80}}
`;

/** The codec, and what ztunnel's DNS proxy makes of each message: cut from a stream, answered. */
function dns(): FuzzTarget<Buffer> {
  const seeds = dnsSeeds();
  const state = new MeshState(parseStaticFile('mesh', DNS_MESH));
  const [client] = state.workloads.values();
  ok(client);
  const lookup = {
    state,
    client,
    names: {
      clientNamespace: 'demo',
      clusterDomain: 'cluster.local',
      searchDomains: ['demo.svc.cluster.local', 'svc.cluster.local'],
    },
    ipv6Enabled: true,
  };
  return {
    name: 'DNS',
    seeds,
    mutate: (random) => mutateBytes(random, seeds, { dictionary: DNS_WORDS }),
    feed: (bytes, random) => {
      for (const piece of cutStream(bytes, random)) ok(piece.length <= bytes.length);
      const message = decodeDns(bytes);
      const limit = Math.max(udpLimit(message), 512);
      const answer = refuse(message) ?? answerLocally(message, lookup, (all) => all)?.response;
      if (answer !== undefined) ok(encodeDns(answer, limit).length <= limit);
      const whole = encodeDns(message);
      const again = decodeDns(whole);
      if (!again.isTruncated) {
        deepStrictEqual(again.questions, message.questions, 'questions survive encoding');
        deepStrictEqual(again.answers, message.answers, 'and answers');
      }
      if (message.edns === undefined) ok(encodeDns(message, 512).length <= 512);
    },
    isPromised: (error) => error instanceof WireError && error.code === 'DATAPLANE_WIRE_MALFORMED',
  };
}

function cutStream(bytes: Buffer, random: Random): readonly Buffer[] {
  const cutter = new MessageCutter();
  const middle = random.below(bytes.length + 1);
  return [...cutter.push(bytes.subarray(0, middle)), ...cutter.push(bytes.subarray(middle))];
}

const MAX_FRAME_BYTES = 1_048_576;
const MAX_HEADER_BYTES = 65_536;

/** What the HBONE session does before any meaning: frames, header blocks, fields, settings. */
function hboneFrames(): FuzzTarget<Buffer> {
  const seeds = clientStreams();
  return {
    name: 'HBONE frame parser',
    seeds,
    mutate: (random) => mutateFrames(random, seeds),
    feed: (bytes, random) => {
      const sink = new FrameSinkProbe(bytes);
      const parser = new FrameParser(sink, true, MAX_FRAME_BYTES, MAX_HEADER_BYTES);
      for (let at = 0; at < bytes.length;) {
        const length = Math.min(1 + random.below(random.pick([2, 20, 2_000])), bytes.length - at);
        parser.feed(bytes, at, length);
        at += length;
      }
    },
    isPromised: isHttp2Error,
  };
}

function isHttp2Error(error: unknown): boolean {
  return (
    (error instanceof Http2Error && error.code === 'DATAPLANE_HTTP2_PROTOCOL') ||
    (error instanceof HpackError && error.code === 'DATAPLANE_HPACK_MALFORMED')
  );
}

/** Checks that content lies inside the chunk and adds up to its frame. */
class FrameSinkProbe {
  readonly #bytes: Buffer;
  readonly #block = new HeaderBlock(MAX_HEADER_BYTES);
  readonly #decoder = new HpackDecoder(4096, MAX_HEADER_BYTES);
  #frameBytes = 0;
  #contentBytes = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  onDataStart(streamId: number, frameBytes: number): void {
    ok(streamId > 0);
    this.#frameBytes = frameBytes;
    this.#contentBytes = 0;
  }

  onDataBytes(_streamId: number, offset: number, length: number): void {
    ok(
      length > 0 && offset >= 0 && offset + length <= this.#bytes.length,
      'content is in the chunk',
    );
    this.#contentBytes += length;
  }

  onDataDone(_streamId: number, _isEndStream: boolean, overheadBytes: number): void {
    equal(this.#contentBytes + overheadBytes, this.#frameBytes, 'flow control sees each byte once');
  }

  onFrame(
    header: Readonly<{ type: number; flags: number; streamId: number; length: number }>,
    payload: Buffer,
  ): void {
    equal(payload.length, header.length);
    if (header.type === FRAME_TYPE.settings && (header.flags & 1) === 0) decodeSettings(payload);
    if (header.type !== FRAME_TYPE.headers && header.type !== FRAME_TYPE.continuation) return;
    const whole = this.#block.take(header, payload);
    if (whole !== undefined) splitFields(this.#decoder.decode(whole.block), new Set([':method']));
  }
}

const EVIDENCE_WORDS = [
  ...[
    '{',
    '}',
    '[',
    ']',
    '"',
    ':',
    ',',
    'null',
    'true',
    '-1',
    '1e999',
    '"x"',
    '{}',
    '[]',
    '\n',
    '\\u0000',
  ],
  ...[
    '"peer"',
    '"local"',
    '"tunnel"',
    '"upstream"',
    '"stream"',
    '"openedNs"',
    '"original"',
    '"__proto__"',
  ],
  ...[
    '"99999999999999999999"',
    '"1.5"',
    '"::1:80"',
    'CLIENT_RANDOM',
    'EXPORTER_SECRET ',
    '#',
    ' ',
    '0'.repeat(64),
  ],
];

type EvidenceName = 'legs' | 'conntrack' | 'recording' | 'keys';

interface EvidenceFile {
  readonly name: EvidenceName;
  readonly text: string;
}

/** Readers of what a run leaves beside its packets: legs, conntrack, recording, key log. */
function evidence(): FuzzTarget<EvidenceFile> {
  const dir = mkdtempSync(join(tmpdir(), 'ambient-lab-fuzz-evidence-'));
  const names: readonly EvidenceName[] = ['legs', 'conntrack', 'recording', 'keys'];
  const good = new Map(
    names.map((name) => {
      const text = readFileSync(join(FIXTURES, 'runs/two-nodes', CAPTURE_FILES[name]), 'utf8');
      return [name, name === 'recording' ? text : text.split('\n').slice(0, 12).join('\n')];
    }),
  );
  for (const [name, text] of good) writeFileSync(join(dir, CAPTURE_FILES[name]), text);
  let changed: EvidenceName = 'legs';
  return {
    name: 'evidence files',
    seeds: names.map((name) => ({ name, text: good.get(name)! })),
    mutate: (random) => {
      const name = random.pick(names);
      return { name, text: mutateText(random, [good.get(name)!], { dictionary: EVIDENCE_WORDS }) };
    },
    feed: async ({ name, text }) => {
      if (changed !== name) writeFileSync(join(dir, CAPTURE_FILES[changed]), good.get(changed)!);
      writeFileSync(join(dir, CAPTURE_FILES[name]), text);
      changed = name;
      const { problems, keyLog } = await readEvidence(dir);
      for (const secrets of parseKeyLog(keyLog).values()) ok(secrets.size > 0);
      return problems.length === 0;
    },
    isPromised: () => false,
    finish: () => rmSync(dir, { recursive: true }),
  };
}

export const TARGETS: FuzzTargets = { zdsRequest, zdsAnswer, dns, hboneFrames, evidence };
