import t from 'tap';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import {
  DNS_CLASS_IN,
  DNS_TYPE,
  decodeDns,
  encodeDns,
  type DnsData,
  type DnsMessage,
  type DnsRecord,
} from '../../dataplane/wire/dns.ts';
import { WireError } from '../../dataplane/wire/errors.ts';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../../dataplane/wire/ip-address.ts';

const record = (name: string, type: number, data: DnsData, ttlSeconds = 30): DnsRecord => ({
  name,
  type,
  class: DNS_CLASS_IN,
  ttlSeconds,
  data,
});
const address = (name: string, text: string): DnsRecord =>
  record(name, text.includes(':') ? DNS_TYPE.AAAA : DNS_TYPE.A, { kind: 'address', address: text });

const REPLY: DnsMessage = {
  id: 0x1234,
  isResponse: true,
  opcode: 0,
  isAuthoritative: true,
  isTruncated: false,
  isRecursionDesired: true,
  isRecursionAvailable: true,
  isAuthenticData: false,
  isCheckingDisabled: false,
  rcode: 0,
  questions: [{ name: 'httpbin.demo.svc.cluster.local', type: DNS_TYPE.ANY, class: DNS_CLASS_IN }],
  answers: [
    address('httpbin.demo.svc.cluster.local', '10.96.0.17'),
    address('httpbin.demo.svc.cluster.local', 'fd00::17'),
    record('alias.demo', DNS_TYPE.CNAME, { kind: 'name', name: 'httpbin.demo.svc.cluster.local' }),
    record('17.0.96.10.in-addr.arpa', DNS_TYPE.PTR, { kind: 'name', name: 'httpbin.demo' }),
    record('_http._tcp.demo', DNS_TYPE.SRV, {
      kind: 'srv',
      priority: 1,
      weight: 2,
      port: 8000,
      target: 'httpbin.demo.svc.cluster.local',
    }),
    record('text.demo', DNS_TYPE.TXT, {
      kind: 'txt',
      strings: [Buffer.from('a'), Buffer.alloc(0)],
    }),
    record('other.demo', 99, { kind: 'raw', data: Buffer.from([1, 2, 3]) }),
  ],
  authorities: [
    record('demo', DNS_TYPE.SOA, {
      kind: 'soa',
      primary: 'ns.demo',
      mailbox: 'root.demo',
      serial: 1,
      refreshSeconds: 2,
      retrySeconds: 3,
      expireSeconds: 4,
      minimumSeconds: 0xffffffff,
    }),
  ],
  additionals: [address('ns.demo', '10.96.0.10')],
  edns: {
    udpPayloadBytes: 1232,
    version: 0,
    isDnssecOk: true,
    options: [{ code: 10, data: Buffer.from('12345678') }],
  },
};

t.test('decodeDns() is the inverse of encodeDns()', async (t) => {
  t.strictSame(decodeDns(encodeDns(REPLY)), REPLY);
  const odd = 'a\\.b.c\\\\d.e\\000f.g\\255';
  const message = { ...REPLY, answers: [address(odd, '1.2.3.4')] };
  t.equal(decodeDns(encodeDns(message)).answers[0]!.name, odd);
  const extended = decodeDns(encodeDns({ ...REPLY, rcode: 16 }));
  t.equal(extended.rcode, 16, 'the upper bits of the code travel in EDNS');
});

t.test('encodeDns() compresses names, but not in SRV', async (t) => {
  const name = 'httpbin.demo.svc.cluster.local';
  const bytes = encodeDns({ ...REPLY, edns: undefined, authorities: [], additionals: [] });
  const label = Buffer.from('\x03svc\x07cluster\x05local\0', 'latin1');
  const first = bytes.indexOf(label);
  const second = bytes.indexOf(label, first + 1);
  t.ok(first > 0 && second > first, 'once in the question, once in SRV');
  t.equal(bytes.indexOf(label, second + 1), -1);
  t.equal(decodeDns(bytes).answers[2]!.data.kind === 'name' && name, name);
  const upper = { ...REPLY, answers: [address(name.toUpperCase(), '1.2.3.4')] };
  t.equal(decodeDns(encodeDns(upper)).answers[0]!.name, name, 'compares without case');
});

t.test('encodeDns() cuts at maxBytes and sets TC', async (t) => {
  const answers = Array.from({ length: 60 }, (_, i) => address('many.demo', `10.0.0.${i}`));
  const bytes = encodeDns({ ...REPLY, answers }, 512);
  const read = decodeDns(bytes);
  t.ok(bytes.length <= 512);
  t.equal(read.isTruncated, true);
  t.same(read.answers, answers.slice(0, read.answers.length));
  t.ok(read.answers.length > 20);
  t.same(read.authorities, []);
  t.same(read.edns, REPLY.edns, 'EDNS stays');
  t.equal(decodeDns(encodeDns({ ...REPLY, answers }, 4096)).isTruncated, false, 'control');
  const enough = encodeDns({ ...REPLY, additionals: [] }).length;
  const additionalsCut = decodeDns(encodeDns(REPLY, enough));
  t.same(additionalsCut.additionals, []);
  t.equal(additionalsCut.isTruncated, false, 'additional records alone set no TC');
});

t.test('encodeDns() keeps to maxBytes whatever questions it echoes', async (t) => {
  const one = { ...REPLY, answers: [], authorities: [], additionals: [] };
  const question = (name: string) => ({ name, type: DNS_TYPE.A, class: DNS_CLASS_IN });
  const many = Array.from({ length: 9_000 }, (_, i) => question(`${i}${'x'.repeat(58)}.demo`));
  for (const maxBytes of [512, 4096, undefined]) {
    const bytes = encodeDns({ ...one, questions: many }, maxBytes);
    const read = decodeDns(bytes);
    t.ok(bytes.length <= (maxBytes ?? 65_535), `${bytes.length} bytes`);
    t.equal(read.isTruncated, true);
    t.same(read.questions, many.slice(0, read.questions.length));
    t.ok(read.questions.length > 5, `${read.questions.length} questions`);
    t.same(read.edns, REPLY.edns);
  }
  const few = decodeDns(encodeDns({ ...one, questions: many.slice(0, 5) }, 512));
  t.match(few, { isTruncated: false, questions: many.slice(0, 5) }, 'control');
});

t.test('decodeDns() refuses malformed messages', async (t) => {
  const header = (questions: number, answers = 0): Buffer => {
    const bytes = Buffer.alloc(12);
    bytes.writeUInt16BE(questions, 4);
    bytes.writeUInt16BE(answers, 6);
    return bytes;
  };
  const refuse = (title: string, ...parts: (Buffer | number[])[]) =>
    t.throws(
      () => decodeDns(Buffer.concat(parts.map((part) => Buffer.from(part)))),
      WireError,
      title,
    );
  t.equal(decodeDns(Buffer.concat([header(1), Buffer.from([0, 0, 1, 0, 1])])).questions.length, 1);
  refuse('short header', [0, 0, 0]);
  refuse('question missing', header(1));
  refuse('pointer to itself', header(1), [0xc0, 12, 0, 1, 0, 1]);
  refuse('pointer forwards', header(1), [0xc0, 14, 0, 1, 0, 1]);
  refuse('pointer cut', header(1), [0xc0]);
  refuse('loop of two', header(2), [1, 97, 0xc0, 12, 0, 1, 0, 1]);
  refuse('reserved label type', header(1), [0x80, 0, 0, 1, 0, 1]);
  refuse('label cut', header(1), [5, 97]);
  const label = [63, ...new Array<number>(63).fill(97)];
  refuse('name over 255 bytes', header(1), [...label, ...label, ...label, ...label, 0, 0, 1, 0, 1]);
  const rr = (type: number, data: number[]) => [
    0,
    0,
    type,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    data.length,
    ...data,
  ];
  refuse('A of 3 bytes', header(0, 1), rr(1, [1, 2, 3]));
  refuse('SRV cut', header(0, 1), rr(33, [0, 0, 0]));
  refuse('TXT string past its record', header(0, 1), rr(16, [9, 1]));
  refuse('CNAME past its record', header(0, 1), rr(5, [1]), [97, 0]);
  refuse('SOA cut', header(0, 1), rr(6, [0, 0, 1]));
  const jumps = Buffer.alloc(2 * 300);
  for (let i = 1; i < 300; i++) jumps.writeUInt16BE(0xc000 | (12 + 5 + 2 * (i - 1)), 2 * i);
  refuse('a long chain of pointers', header(1, 2), [0, 0, 1, 0, 1], jumps, [0, 0, 1, 0, 1]);
});

t.test('encodeDns() refuses what DNS cannot hold', async (t) => {
  const encode = (answer: DnsRecord) => encodeDns({ ...REPLY, answers: [answer] });
  t.throws(() => encode(address(`${'a'.repeat(64)}.demo`, '1.2.3.4')), WireError);
  t.throws(() => encode(address('a..b', '1.2.3.4')), WireError);
  t.throws(() => encode(address(`${'a'.repeat(63)}.`.repeat(4), '1.2.3.4')), WireError);
  t.throws(() => encode(record('a', DNS_TYPE.A, { kind: 'address', address: 'x' })), WireError);
  t.doesNotThrow(() => encode(address(`${'a'.repeat(63)}.demo.`, '1.2.3.4')));
});

t.test('c-ares reads what encodeDns() writes, and decodeDns() what c-ares writes', async (t) => {
  const server = createSocket('udp4');
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  server.on('message', (bytes, from) => {
    const query = decodeDns(bytes);
    const { name, type } = query.questions[0]!;
    const answers = REPLY.answers
      .filter((answer) => answer.type === type)
      .map((answer) => ({ ...answer, name }));
    const soa = type === DNS_TYPE.SOA ? [{ ...REPLY.authorities[0]!, name }] : [];
    const reply = { ...REPLY, id: query.id, questions: query.questions, edns: query.edns };
    server.send(encodeDns({ ...reply, answers: [...answers, ...soa] }), from.port, from.address);
  });
  const resolver = new Resolver({ timeout: 2000, tries: 1 });
  resolver.setServers([`127.0.0.1:${server.address().port}`]);
  t.same(await resolver.resolve4('httpbin.demo'), ['10.96.0.17']);
  t.same(await resolver.resolve6('httpbin.demo'), ['fd00::17']);
  t.same(await resolver.resolveSrv('_http._tcp.demo'), [
    { priority: 1, weight: 2, port: 8000, name: 'httpbin.demo.svc.cluster.local' },
  ]);
  t.same(await resolver.resolveTxt('text.demo'), [['a', '']]);
  t.same(await resolver.resolvePtr('17.0.96.10.in-addr.arpa'), ['httpbin.demo']);
  t.same(await resolver.resolveCname('alias.demo'), ['httpbin.demo.svc.cluster.local']);
  t.equal((await resolver.resolveSoa('demo')).nsname, 'ns.demo');
});

t.test('formatIpv6() and parseIpv6() follow RFC 5952', async (t) => {
  for (const text of [
    '::',
    '::1',
    'fd00::1:0:0:2',
    '1:2:3:4:5:6:7:8',
    '::ffff:10.0.0.1',
    'fe80::',
  ]) {
    t.equal(formatIpv6(parseIpv6(text), 0), text);
  }
  t.equal(formatIpv6(parseIpv6('1:0:0:2:0:0:0:3'), 0), '1:0:0:2::3');
  t.equal(formatIpv6(parseIpv6('1:0:2:3:4:5:6:7'), 0), '1:0:2:3:4:5:6:7', 'one zero is kept');
  t.equal(formatIpv4(parseIpv4('10.244.1.2'), 0), '10.244.1.2');
  for (const bad of ['1.2.3', ':::', 'fe80::1%eth0', 'x']) {
    t.throws(() => parseIpv6(bad), WireError);
    t.throws(() => parseIpv4(bad), WireError);
  }
});
