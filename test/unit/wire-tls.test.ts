import t from 'tap';
import { randomBytes } from 'node:crypto';
import { brotliCompressSync, deflateSync } from 'node:zlib';
import { WireError } from '../../dataplane/wire/errors.ts';
import {
  TLS13_SUITES,
  alertName,
  alpnOfEncryptedExtensions,
  decodeCertificates,
  decodeClientHello,
  decodeServerHello,
} from '../../dataplane/wire/tls.ts';
import { unpackCertificate } from '../../dataplane/wire/tls-compressed.ts';
import { nextTrafficSecret, parseKeyLog, trafficKeys } from '../../dataplane/wire/tls-keys.ts';
import { RecordOpener } from '../../dataplane/wire/tls-opener.ts';
import { RecordProtection } from '../../dataplane/wire/tls-record.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const AES128 = TLS13_SUITES.get(0x1301)!;

t.test('trafficKeys() gives the keys of RFC 8448 section 3', async (t) => {
  const keysOf = (secret: string) => {
    const { key, iv } = trafficKeys(AES128, hex(secret));
    return [key.toString('hex'), iv.toString('hex')];
  };
  t.same(keysOf('b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38'), [
    '3fce516009c21727d0f2e4e86ee403bc',
    '5d313eb2671276ee13000b30',
  ]);
  t.same(keysOf('b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21'), [
    'dbfaa693d1762c5b666af5d950258d01',
    '5bd3c71b836e0b76bb73265f',
  ]);
});

t.test('RecordProtection opens the application record of RFC 8448 section 3', async (t) => {
  const secret = hex('9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5');
  const record = hex(
    '1703030043 a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20' +
      '441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4',
  );
  const inner = new RecordProtection(AES128, secret).open(record);
  t.equal(inner?.type, 23);
  t.same(inner?.content, Buffer.from(Array.from({ length: 50 }, (_, i) => i)));
});

t.test('RecordProtection opens what it seals, in order, through key updates', async (t) => {
  for (const suite of TLS13_SUITES.values()) {
    const secret = randomBytes(suite.hash === 'sha384' ? 48 : 32);
    const [seal, open] = [new RecordProtection(suite, secret), new RecordProtection(suite, secret)];
    for (let round = 0; round < 3; round++) {
      for (const size of [1, 17, 300, 5000]) {
        const content = randomBytes(size);
        const record = seal.seal(23, content);
        const tampered = Buffer.from(record);
        tampered[tampered.length >> 1]! ^= 1;
        t.equal(open.open(tampered), undefined, `${suite.name}: a changed bit is noticed`);
        t.same(open.open(record), { type: 23, content });
        t.equal(open.open(record), undefined, 'the same record does not open twice');
      }
      t.equal(open.sequence, 4);
      seal.update();
      open.update();
      t.equal(open.sequence, 0);
    }
    const stranger = new RecordProtection(suite, nextTrafficSecret(suite, secret));
    t.equal(
      stranger.open(new RecordProtection(suite, secret).seal(23, Buffer.from('x'))),
      undefined,
    );
  }
  t.equal(new RecordProtection(AES128, Buffer.alloc(32)).open(Buffer.alloc(20)), undefined);
});

t.test('RecordOpener opens in batches and alone what RecordProtection sealed', async (t) => {
  for (const suite of TLS13_SUITES.values()) {
    const secret = randomBytes(suite.hash === 'sha384' ? 48 : 32);
    const [seal, opener] = [new RecordProtection(suite, secret), new RecordOpener(suite, secret)];
    const into = Buffer.alloc(9000);
    for (let round = 0; round < 2; round++) {
      // Lengths on both sides of each block, and some too long for a batch.
      const contents = Array.from({ length: 300 }, (_, i) => randomBytes(i % 97 === 0 ? 8000 : i));
      const records = contents.map((content, i) => seal.seal(i % 3 === 0 ? 22 : 23, content));
      const stream = Buffer.concat(records);
      let offset = 0;
      records.forEach(({ length }, i) => {
        const ahead = {
          count: records.length - i,
          lengthOf: (index: number) => records[i + index]!.length,
        };
        const open = () => opener.open(stream, offset, length, into, 7, ahead);
        if (i % 50 === 9) {
          for (const at of [offset, offset + 5, offset + length - 1]) {
            stream[at]! ^= 1;
            t.equal(open(), -1, `${suite.name}: a changed bit is noticed`);
            stream[at]! ^= 1;
          }
        }
        t.equal(open(), contents[i]!.length);
        t.equal(opener.type, i % 3 === 0 ? 22 : 23);
        t.ok(into.subarray(7, 7 + contents[i]!.length).equals(contents[i]!));
        offset += length;
      });
      seal.update();
      opener.update();
    }
    const last = new RecordOpener(suite, secret);
    const one = new RecordProtection(suite, secret).seal(23, Buffer.from('only'));
    const alone = { count: 1, lengthOf: () => one.length };
    t.equal(last.open(one, 0, one.length, into, 0, alone), 4, 'one record makes no batch');
    t.equal(last.open(one, 0, 20, into, 0, alone), -1, 'too short for a tag');
  }
});

t.test('parseKeyLog() takes lines of the format and skips others', async (t) => {
  const random = 'AB'.repeat(32);
  const log = parseKeyLog(
    [
      '# a comment',
      `CLIENT_TRAFFIC_SECRET_0 ${random} ${'01'.repeat(32)}`,
      `SERVER_TRAFFIC_SECRET_0 ${random} ${'02'.repeat(48)}\r`,
      `CLIENT_RANDOM ${random} odd`,
      `X ${random.slice(2)} ${'01'.repeat(32)}`,
      '',
    ].join('\n'),
  );
  t.equal(log.size, 1);
  const secrets = log.get(random.toLowerCase());
  t.same([...secrets!.keys()], ['CLIENT_TRAFFIC_SECRET_0', 'SERVER_TRAFFIC_SECRET_0']);
  t.equal(secrets!.get('SERVER_TRAFFIC_SECRET_0')!.length, 48);
});

const vector = (bytes: 1 | 2 | 3, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(bytes);
  length.writeUIntBE(body.length, 0, bytes);
  return Buffer.concat([length, body]);
};
const extension = (type: number, ...parts: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([0, type]), vector(2, ...parts)]);
const text = (value: string): Buffer => Buffer.from(value);

const CLIENT_HELLO = Buffer.concat([
  hex('0303'),
  Buffer.alloc(32, 7),
  vector(1),
  vector(2, hex('13011302')),
  vector(1, hex('00')),
  vector(
    2,
    extension(0, vector(2, hex('00'), vector(2, text('httpbin.demo')))),
    extension(16, vector(2, vector(1, text('h2')), vector(1, text('http/1.1')))),
    extension(43, vector(1, hex('03040303'))),
    extension(42),
  ),
]);

t.test('hellos and handshake messages are read, and cut ones refused', async (t) => {
  t.same(decodeClientHello(CLIENT_HELLO), {
    random: '07'.repeat(32),
    cipherSuites: [0x1301, 0x1302],
    serverName: 'httpbin.demo',
    alpn: ['h2', 'http/1.1'],
    versions: [0x0304, 0x0303],
    hasEarlyData: true,
    tickets: [],
  });
  const serverHello = (random: Buffer) =>
    Buffer.concat([
      hex('0303'),
      random,
      vector(1),
      hex('130200'),
      vector(2, extension(43, hex('0304'))),
    ]);
  t.same(decodeServerHello(serverHello(Buffer.alloc(32, 9))), {
    random: '09'.repeat(32),
    cipherSuite: 0x1302,
    version: 0x0304,
    isRetryRequest: false,
  });
  const retry = hex('cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c');
  t.equal(decodeServerHello(serverHello(retry)).isRetryRequest, true);
  const extensions = vector(2, extension(16, vector(2, vector(1, text('h2')))));
  t.equal(alpnOfEncryptedExtensions(extensions), 'h2');
  const entry = (der: string) => Buffer.concat([vector(3, text(der)), vector(2)]);
  const certificates = Buffer.concat([vector(1), vector(3, entry('leaf'), entry('root'))]);
  t.same(decodeCertificates(certificates).map(String), ['leaf', 'root']);
  for (let cut = 0; cut < CLIENT_HELLO.length; cut++) {
    const bytes = CLIENT_HELLO.subarray(0, cut);
    // A hello may end before its extensions, and only there.
    if (cut === 2 + 32 + 1 + 6 + 2) t.doesNotThrow(() => decodeClientHello(bytes));
    else t.throws(() => decodeClientHello(bytes), WireError);
  }
  t.throws(() => decodeCertificates(certificates.subarray(0, -1)), WireError);
  t.equal(alertName(42), 'bad_certificate');
  t.equal(alertName(200), 'alert_200');
});

t.test('unpackCertificate() unpacks what RFC 8879 packs, and nothing that lies', async (t) => {
  const plain = Buffer.concat([Buffer.alloc(300, 'certificate'), randomBytes(40)]);
  const message = (algorithm: number, packed: Buffer, length = plain.length): Buffer => {
    const head = Buffer.alloc(8);
    head.writeUInt16BE(algorithm, 0);
    head.writeUIntBE(length, 2, 3);
    head.writeUIntBE(packed.length, 5, 3);
    return Buffer.concat([head, packed]);
  };
  t.same(unpackCertificate(message(1, deflateSync(plain))), plain);
  t.same(unpackCertificate(message(2, brotliCompressSync(plain))), plain);
  const zlib = deflateSync(plain);
  const bomb = deflateSync(Buffer.alloc(4_000_000));
  for (const lie of [
    Buffer.alloc(0),
    message(9, zlib),
    message(1, randomBytes(200)),
    message(1, zlib).subarray(0, -1),
    message(1, zlib, plain.length - 1),
    message(1, zlib, plain.length + 1),
    message(1, bomb, 0xffffff),
    message(1, bomb, 100),
  ]) {
    t.throws(() => unpackCertificate(lie), WireError);
  }
});
