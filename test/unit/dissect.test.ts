import t, { type Test } from 'tap';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodePacket, encodePcapngHead } from '../../lab/capture/pcapng-write.ts';
import { PcapngError } from '../../lab/capture/pcapng.ts';
import { columnText } from '../../lab/facts/dissect/columns.ts';
import { dissect, type Dissection } from '../../lab/facts/dissect/dissect.ts';
import type { Connection } from '../../lab/facts/dissect/types.ts';
import {
  A,
  FIN_ACK,
  HANDSHAKE,
  RST_ACK,
  SYN,
  SYN_ACK,
  captureOf,
  down,
  frameOf,
  up,
  type Segment,
} from './support/tcp-frames.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures/captures');
const MIXED = readFileSync(join(FIXTURES, 'mixed.pcapng'));

function only(capture: Dissection): Connection {
  if (capture.conversations.length !== 1) throw new Error('one conversation wished');
  return capture.conversations[0]!.best;
}

const streamText = ({ segments }: Connection['fromClient']): string =>
  Array.from({ length: segments.count }, (_, i) => segments.bytes(i).toString('latin1')).join('');

/** Our columns of a fixture against those that tshark gave. */
function compareColumns(t: Test, name: string): Dissection {
  const capture = dissect([readFileSync(join(FIXTURES, `${name}.pcapng`))]);
  const ours = columnText(capture, capture.interfaces[0]!).split('\n').slice(0, -1);
  const theirs = readFileSync(join(FIXTURES, `${name}.tshark.txt`), 'latin1')
    .split('\n')
    .slice(0, -1);
  t.equal(ours.length, theirs.length);
  for (const [i, line] of theirs.entries()) {
    const [, columns = '', icmpType] = /^(.*)\t(.*)$/.exec(line)!;
    if (icmpType !== '3') t.equal(ours[i], columns);
  }
  return capture;
}

const stateKinds = ({ conversations }: Dissection): (string | undefined)[] =>
  [...new Set(conversations.map(({ tls }) => tls?.client.secrets.kind))].sort();

t.test('dissect() gives of a real capture what tshark gave', async (t) => {
  t.same(stateKinds(compareColumns(t, 'mixed')), ['decrypted', undefined]);
});

t.test('dissect() gives of a capture with lost frames what tshark gave', async (t) => {
  t.same(stateKinds(compareColumns(t, 'lossy')), ['decrypted', 'unread', undefined]);
});

t.test('dissect() reads certificates that were packed', async (t) => {
  const capture = dissect([readFileSync(join(FIXTURES, 'compressed-certificate.pcapng'))]);
  const tunnels = capture.conversations.filter(({ tls }) => tls !== undefined);
  t.ok(tunnels.length > 0);
  for (const { tls } of tunnels) {
    t.match(tls?.client.certificates[0], {
      spiffeIds: ['spiffe://cluster.local/ns/demo/sa/sleep'],
    });
  }
});

t.test('dissect() says which secret was missing or wrong, and never guesses', async (t) => {
  const withKeys = (change: (log: string) => string): Dissection => {
    const copy = Buffer.from(MIXED);
    // The secrets block comes second; as a block of unknown type it is stepped over.
    const section = copy.readUInt32LE(4);
    const log = copy.toString(
      'latin1',
      section + 16,
      section + 16 + copy.readUInt32LE(section + 12),
    );
    copy.writeUInt32LE(0x0bad, section);
    return dissect([copy], change(log));
  };
  const stateOf = (capture: Dissection) => {
    const { tls, http2 } = capture.conversations[0]!;
    return {
      client: tls!.client.secrets,
      server: tls!.server.secrets,
      hasHttp2: http2 !== undefined,
    };
  };
  const read = { kind: 'decrypted' };
  t.same(
    stateOf(withKeys((log) => log)),
    { client: read, server: read, hasHttp2: true },
    'control',
  );
  t.match(stateOf(withKeys(() => '')), {
    client: { kind: 'missing', label: 'CLIENT_HANDSHAKE_TRAFFIC_SECRET' },
    server: { kind: 'missing', label: 'SERVER_HANDSHAKE_TRAFFIC_SECRET' },
    hasHttp2: false,
  });
  const without = (label: string) => (log: string) =>
    log
      .split('\n')
      .filter((line) => !line.startsWith(label))
      .join('\n');
  t.match(stateOf(withKeys(without('CLIENT_TRAFFIC_SECRET_0'))), {
    client: { kind: 'missing', label: 'CLIENT_TRAFFIC_SECRET_0' },
    server: read,
  });
  const wrong = withKeys((log) => log.replace(/(SERVER_TRAFFIC_SECRET_0 \S+ )../g, '$1ee'));
  t.match(stateOf(wrong), {
    client: read,
    server: { kind: 'wrong', label: 'SERVER_TRAFFIC_SECRET_0' },
  });
  t.match(wrong.conversations[0]!.faults, [{ layer: 'tls', message: /wrong SERVER_TRAFFIC/ }]);
  t.equal(wrong.conversations[0]!.tls!.server.plaintextBytes, 0);
  t.ok(wrong.conversations[0]!.tls!.server.records.count > 5, 'records are listed all the same');
  t.equal(wrong.conversations[0]!.tls!.server.certificates.length, 1, 'from the handshake');
});

t.test('dissect() puts a stream in order and notes what was not', async (t) => {
  const capture = dissect([
    captureOf([
      ...HANDSHAKE,
      up(101, 'hello ', { mark: 0x539 }),
      up(113, 'world'),
      up(107, 'there ', { ttl: 63 }),
      up(101, 'hello '),
      up(107, 'there world!'),
      up(107, 'THERE '),
      up(100, 'x'),
      down(501, 'ok', { acknowledgement: 119 }),
      up(119, '', { flags: FIN_ACK }),
      down(503, '', { flags: FIN_ACK, acknowledgement: 120 }),
    ]),
  ]);
  const { fromClient, fromServer, hasHandshake, firstFrame, lastFrame } = only(capture);
  t.equal(streamText(fromClient), 'hello there world!');
  t.match(fromClient, {
    streamBytes: 18,
    synFrames: [1],
    finFrames: [12],
    initialSequence: 100,
    outOfOrderFrames: [6],
    conflictingFrames: [9],
    gaps: [],
    marks: [0x539],
    ttls: [64, 63],
  });
  t.equal(fromClient.retransmittedBytes, 6 + 11 + 6);
  t.match(fromServer, { streamBytes: 2, gaps: [], finFrames: [13] });
  t.same([hasHandshake, firstFrame, lastFrame], [true, 1, 13]);
  t.same(fromClient.segments.framesOf({ start: 5, end: 13 }), [4, 6, 5]);
  t.equal(fromClient.segments.frameAt(17), 8);
  t.equal(fromClient.segments.frameAt(18), undefined);
});

t.test('dissect() notes bytes that were lost, snapped or only acknowledged', async (t) => {
  const gapsOf = (...segments: Segment[]) =>
    only(dissect([captureOf([...HANDSHAKE, ...segments])])).fromClient.gaps;
  t.same(gapsOf(up(101, 'abc'), up(104, 'def')), [], 'control');
  t.same(gapsOf(up(101, 'abc'), up(107, 'def')), [{ start: 3, end: 6 }]);
  t.same(gapsOf(up(101, 'abcdef', { snap: 56 }), up(107, 'g')), [{ start: 2, end: 6 }]);
  t.same(gapsOf(up(101, 'abcdef', { snap: 56 }), up(101, 'abcdef')), [], 'sent again in full');
  t.same(gapsOf(up(101, 'abc'), down(501, '', { acknowledgement: 110 })), [{ start: 3, end: 9 }]);
  const wrapped = captureOf([
    up(-3, '', { flags: SYN, acknowledgement: 0 }),
    down(500, '', { flags: SYN_ACK, acknowledgement: -2 }),
    up(-2, 'abc'),
    up(1, 'def'),
    down(501, '', { acknowledgement: 4 }),
  ]);
  t.equal(streamText(only(dissect([wrapped])).fromClient), 'abcdef', 'through sequence number 0');
  t.same(only(dissect([wrapped])).fromClient.gaps, []);
});

t.test('dissect() reads no HTTP behind a gap', async (t) => {
  const request = 'GET /a HTTP/1.1\r\nHost: x\r\n\r\n';
  const methods = (...segments: Segment[]) =>
    dissect([captureOf([...HANDSHAKE, ...segments])]).conversations[0]!.http1?.map((m) => m.line);
  const next = 101 + request.length;
  t.same(methods(up(101, request), up(next, request)), Array(2).fill('GET /a HTTP/1.1'));
  t.same(methods(up(101, request), up(next + 1, request)), ['GET /a HTTP/1.1']);
  t.same(methods(up(102, request.slice(1))), undefined);
});

t.test('dissect() tells connections of one tuple apart', async (t) => {
  const again = HANDSHAKE.map((segment) => ({
    ...segment,
    sequence: segment.sequence + 5000,
    acknowledgement: (segment.acknowledgement ?? 0) + (segment.flags === SYN ? 0 : 5000),
  }));
  const capture = dissect([
    captureOf([...HANDSHAKE, HANDSHAKE[0]!, up(101, 'one'), ...again, up(5101, 'two')]),
  ]);
  t.same(
    capture.interfaces[0]!.connections.map(({ fromClient }) => [
      streamText(fromClient),
      fromClient.synFrames,
    ]),
    [
      ['one', [1, 4]],
      ['two', [6]],
    ],
  );
  t.equal(capture.conversations.length, 2);
});

t.test('dissect() joins answers from another address, as REDIRECT shows them', async (t) => {
  const from = '10.96.0.1:80';
  const segments = [
    HANDSHAKE[0]!,
    down(500, '', { flags: SYN_ACK, from }),
    up(101, 'ping'),
    down(501, 'pong', { from }),
  ];
  const connection = only(dissect([captureOf(segments)]));
  t.same(connection.repliesFrom, { address: '10.96.0.1', port: 80 });
  t.equal(streamText(connection.fromServer), 'pong');
  const moved = segments.map((segment, i) => {
    if (i % 2 === 0) return segment;
    return { ...segment, to: '10.0.0.1:40001' };
  });
  t.equal(streamText(only(dissect([captureOf(moved)])).fromServer), 'pong', 'NAT took its port');
  const refused = [HANDSHAKE[0]!, { ...segments[1]!, sequence: 0, flags: RST_ACK }];
  t.same(only(dissect([captureOf(refused)])).fromServer.rstFrames, [2]);
  const stranger = segments.map((segment, i) =>
    i === 1 ? { ...segment, acknowledgement: 7 } : segment,
  );
  t.equal(dissect([captureOf(stranger)]).conversations.length, 2, 'control: another answer');
});

t.test('dissect() joins sightings through NAT and reads the best of them', async (t) => {
  const whole = [...HANDSHAKE, up(101, 'GET / HTTP/1.1\r\n'), up(117, 'Host: x\r\n\r\n')];
  const lossy = whole.filter((_, i) => i !== 3);
  const natted = lossy.map((segment) => ({
    ...segment,
    from: segment.from === A ? '172.18.0.2:40000' : segment.from,
    to: segment.to === A ? '172.18.0.2:40000' : segment.to,
  }));
  const capture = dissect([
    captureOf(lossy, 'sleep/eth0', 0n),
    captureOf(natted, 'node1/eth0', 10n),
    captureOf(whole, 'node2/eth0', 20n),
  ]);
  t.equal(capture.conversations.length, 1);
  const { sightings, best, http1 } = capture.conversations[0]!;
  t.same(
    sightings.map(({ interface: name, client }) => [name, client.address]),
    [
      ['sleep/eth0', '10.0.0.1'],
      ['node1/eth0', '172.18.0.2'],
      ['node2/eth0', '10.0.0.1'],
    ],
  );
  t.equal(best.interface, 'node2/eth0');
  t.match(http1, [{ method: 'GET', target: '/', headers: [['host', 'x']] }]);
  const range = http1![0]!;
  t.same(
    sightings.map(({ fromClient }) => fromClient.segments.framesOf(range)),
    [[4], [4], [4, 5]],
  );
  const others = captureOf(
    whole.map((segment) => ({ ...segment, sequence: segment.sequence + 9 })),
    'node3/eth0',
  );
  t.equal(dissect([captureOf(whole), others]).conversations.length, 2, 'control: other numbers');
});

t.test('dissect() marks malformed frames and goes on', async (t) => {
  const good = frameOf(HANDSHAKE[0]!);
  const bad = Buffer.from(good);
  bad[14] = 0x42;
  const packet = (data: Buffer) => encodePacket({ interfaceId: 0, timeNs: 1n, data });
  const head = encodePcapngHead({ interfaces: [{ name: 'a/b' }] });
  const capture = dissect([
    Buffer.concat([head, packet(bad), packet(good), packet(good.subarray(0, 9))]),
  ]);
  const [own] = capture.interfaces;
  t.match(own!.faults, [
    { layer: 'frame', frame: 1, message: /Cannot read IPv4 header/ },
    { layer: 'frame', frame: 3 },
  ]);
  t.equal(own!.connections.length, 1);
  t.equal(own!.frames.at(1)!.layers.at(-1)!.kind, 'malformed');
  t.equal(own!.frames.at(4), undefined);
  t.throws(() => dissect([MIXED.subarray(0, 5000)]), PcapngError);
});
