import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { type SeqpacketConnection, SeqpacketListener } from '../../dataplane/kernel/seqpacket.ts';
import { DEFAULT_LOG_FILTER, Logger } from '../../dataplane/ztunnel/log.ts';
import { Readiness } from '../../dataplane/ztunnel/readiness.ts';
import { WorkloadManager } from '../../dataplane/ztunnel/workload-manager.ts';
import { followAgent } from '../../dataplane/ztunnel/zds-client.ts';
import { ProtobufError, readFields } from '../../dataplane/zds/protobuf.ts';
import {
  decodeHello,
  decodeWorkloadRequest,
  decodeWorkloadResponse,
  encodeHello,
  encodeWorkloadRequest,
  encodeWorkloadResponse,
  ZdsError,
} from '../../dataplane/zds/zds.ts';
import type { WorkloadRequest } from '../../dataplane/zds/zds.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

const SLEEP: WorkloadRequest = {
  kind: 'add',
  uid: 'u1',
  workloadInfo: { name: 'sleep', namespace: 'demo', serviceAccount: 'sa' },
};

t.test('encode*() writes the bytes of the wire', (t) => {
  t.same(encodeHello(), bytes('08 01'), 'as recorded from a genuine ztunnel');
  t.same(encodeWorkloadResponse(), bytes('0a 00'), 'an empty ack is an empty message, not nothing');
  t.same(encodeWorkloadResponse({ kind: 'ack', error: 'no' }), bytes('0a 04 0a 02 6e6f'));
  t.same(encodeWorkloadRequest({ kind: 'del', uid: 'u1' }), bytes('12 04 12 02 7531'));
  t.same(encodeWorkloadRequest({ kind: 'keep', uid: 'u1' }), bytes('2a 04 0a 02 7531'));
  t.same(encodeWorkloadRequest({ kind: 'snapshotSent' }), bytes('1a 00'));
  t.same(
    encodeWorkloadRequest(SLEEP),
    bytes('0a 17 0a 02 7531 12 11 0a 05 736c656570 12 04 64656d6f 1a 02 7361'),
  );
  t.same(encodeWorkloadRequest({ kind: 'add', uid: '' }), bytes('0a 00'));
  t.end();
});

t.test('decodeWorkloadRequest() reads back what was written', (t) => {
  const requests: readonly WorkloadRequest[] = [
    SLEEP,
    { kind: 'add', uid: 'without-info' },
    { kind: 'add', uid: '', workloadInfo: { name: '', namespace: '', serviceAccount: '' } },
    { kind: 'del', uid: 'ü-\u{1f600}' },
    { kind: 'keep', uid: 'x'.repeat(300) },
    { kind: 'snapshotSent' },
  ];
  for (const request of requests) {
    t.same(decodeWorkloadRequest(encodeWorkloadRequest(request)), request);
  }
  t.same(decodeHello(encodeHello({ version: 7 })), { version: 7 });
  t.same(decodeHello(bytes('')), { version: 0 });
  t.same(decodeHello(bytes('08 ff ff ff ff ff ff ff ff ff 01')), { version: -1 });
  t.same(decodeWorkloadResponse(bytes('0a 04 0a 02 6e6f')), { kind: 'ack', error: 'no' });
  t.end();
});

t.test('decode*() skips what it does not know, and merges as protobuf does', (t) => {
  const known = encodeWorkloadRequest({ kind: 'del', uid: 'u1' });
  const unknown = [
    ['varint', '38 96 01'],
    ['bytes', '3a 02 ffff'],
    ['fixed32', '3d 01020304'],
    ['fixed64', '39 0102030405060708'],
    ['group', '3b 08 01 3c'],
    ['group in a group', '3b 4b 08 01 4c 3c'],
  ] as const;
  for (const [what, hex] of unknown) {
    for (const packet of [Buffer.concat([bytes(hex), known]), Buffer.concat([known, bytes(hex)])]) {
      t.same(decodeWorkloadRequest(packet), { kind: 'del', uid: 'u1' }, what);
    }
  }
  t.same(
    decodeWorkloadRequest(Buffer.concat([known, encodeWorkloadRequest({ kind: 'snapshotSent' })])),
    { kind: 'snapshotSent' },
    'the last member of a oneof wins',
  );
  const parts = [
    encodeWorkloadRequest({ kind: 'add', uid: 'u1' }),
    encodeWorkloadRequest({
      kind: 'add',
      uid: '',
      workloadInfo: { name: 'n', namespace: '', serviceAccount: '' },
    }),
  ];
  t.match(decodeWorkloadRequest(Buffer.concat(parts)), {
    uid: 'u1',
    workloadInfo: { name: 'n' },
  });
  t.end();
});

t.test('decode*() refuses what is no message, with a typed error', (t) => {
  const cases: readonly [string, (packet: Buffer) => unknown, string][] = [
    ['', decodeWorkloadRequest, 'no payload'],
    ['', decodeWorkloadResponse, 'no payload'],
    ['22 00', decodeWorkloadRequest, 'no payload'],
    ['08 01', decodeWorkloadRequest, 'field 1 is varint'],
    ['0a 05 0a', decodeWorkloadRequest, 'truncated'],
    ['0a', decodeWorkloadRequest, 'truncated'],
    ['0a ffffffffffffffffff01', decodeWorkloadRequest, 'truncated'],
    ['ffffffffffffffffffff01', decodeHello, 'varint-too-long'],
    ['08 ffffffffffffffffff02', decodeHello, 'varint-too-long'],
    ['00 01', decodeHello, 'bad-tag'],
    ['0a 00', decodeHello, 'not a varint'],
    ['0e', decodeHello, 'bad-wire-type'],
    ['0f', decodeHello, 'bad-wire-type'],
    ['3c', decodeHello, 'group-mismatch'],
    ['3b 44', decodeHello, 'group-mismatch'],
    ['3b'.repeat(200), decodeHello, 'nested-too-deep'],
    ['3d 01', decodeHello, 'truncated'],
    ['12 04 12 02 ffff', decodeWorkloadRequest, 'bad-utf8'],
    ['12 02 10 01', decodeWorkloadRequest, 'field 2 is varint'],
    ['1a 01 08', decodeWorkloadRequest, 'truncated'],
    ['0a 02 08 01', decodeWorkloadResponse, 'field 1 is varint'],
  ];
  for (const [hex, decode, reason] of cases) {
    const error = t.throws(() => decode(bytes(hex)), ZdsError) as ZdsError;
    t.match(error.message, reason, hex);
    t.equal(error.code, 'DATAPLANE_ZDS_INVALID');
  }
  t.throws(() => readFields(bytes('0a')), ProtobufError);
  t.end();
});

t.test('decode*() meets damaged packets with typed errors only', (t) => {
  const good = [encodeHello(), encodeWorkloadRequest(SLEEP), encodeWorkloadResponse()];
  let seed = 11;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  let refused = 0;
  const rounds = 5000;
  for (let round = 0; round < rounds; round += 1) {
    const base = good[random(good.length)] ?? Buffer.alloc(0);
    const packet = Buffer.from(base.subarray(0, random(base.length + 1)));
    for (let change = random(4); change > 0 && packet.length > 0; change -= 1) {
      packet[random(packet.length)] = random(256);
    }
    for (const decode of [decodeHello, decodeWorkloadRequest, decodeWorkloadResponse]) {
      try {
        decode(packet);
      } catch (error) {
        if (!(error instanceof ZdsError)) throw error;
        refused += 1;
      }
    }
  }
  t.ok(refused > rounds / 2, `${refused} refused`);
  t.ok(refused < 3 * rounds, 'and not all');
  const long = Buffer.concat(Array.from({ length: 200_000 }, () => bytes('1a 00')));
  t.same(decodeWorkloadRequest(long), { kind: 'snapshotSent' }, 'long packets take linear time');
  t.end();
});

t.test(
  'followAgent() comes back to an agent that died with an acknowledgement unread',
  async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'ambient-lab-zds-'));
    t.teardown(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'zds.sock');
    using agent = new SeqpacketListener(path);
    const log = new Logger({
      filter: DEFAULT_LOG_FILTER,
      format: 'plain',
      nowUs: () => 0,
      write: () => {},
    });
    const ready = new Readiness(log).register('workload proxy manager');
    const manager = new WorkloadManager({ log, ready, start: neverStarted });
    const shutdown = new AbortController();
    const following = followAgent({ path, manager, log, signal: shutdown.signal });

    const [first] = (await once(agent, 'connection')) as [SeqpacketConnection];
    // Nobody reads here: the hello and the ack wait in the kernel, and closing resets the peer.
    await first.send(encodeWorkloadRequest({ kind: 'keep', uid: 'u1' }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    first.close();

    const [second] = (await once(agent, 'connection')) as [SeqpacketConnection];
    const [message] = (await once(second, 'message')) as [{ data: Buffer }];
    t.same(decodeHello(message.data), { version: 1 }, 'it says hello again');
    shutdown.abort();
    await following;
  },
);

function neverStarted(): never {
  throw new Error('no pod is added');
}
