import t from 'tap';
import { createServer } from 'node:http2';
import { connect as connectTcp, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { HpackError, Http2Error } from '../../dataplane/wire/errors.ts';
import { HpackDecoder, HpackEncoder, type HeaderField } from '../../dataplane/wire/hpack.ts';
import {
  CLIENT_PREFACE,
  FRAME_FLAG,
  FRAME_TYPE,
  HTTP2_CODE,
  contentRange,
  decodeSettings,
  encodeFrame,
  encodeSettings,
} from '../../dataplane/wire/http2.ts';
import { FrameReader } from '../../dataplane/wire/http2-reader.ts';
import {
  huffmanDecode,
  huffmanEncode,
  huffmanLength,
  huffmanMaxDecoded,
} from '../../dataplane/wire/huffman.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const fields = (text: string): HeaderField[] =>
  text.split('\n').map((line) => {
    const at = line.indexOf(': ', 1);
    return [line.slice(0, at), line.slice(at + 2)];
  });

function http2Code(run: () => unknown): number | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof Http2Error ? error.http2Code : undefined;
  }
}

const REQUESTS = [
  ':method: GET\n:scheme: http\n:path: /\n:authority: www.example.com',
  ':method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache',
  ':method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\n' +
    'custom-key: custom-value',
].map(fields);

const RESPONSES = [
  ':status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\n' +
    'location: https://www.example.com',
  ':status: 307\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\n' +
    'location: https://www.example.com',
  ':status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\n' +
    'location: https://www.example.com\ncontent-encoding: gzip\n' +
    'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
].map(fields);

const C4 = [
  '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
  '8286 84be 5886 a8eb 1064 9cbf',
  '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
].map(hex);

const C6 = [
  '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e' +
    '919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
  '4883 640e ffc1 c0bf',
  '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7' +
    '821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed' +
    '4ee5 b106 3d50 07',
].map(hex);

t.test('HpackDecoder reads the vectors of RFC 7541 appendix C', async (t) => {
  const one = (block: string): HeaderField[] => new HpackDecoder().decode(hex(block));
  t.same(one('400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572'), [
    ['custom-key', 'custom-header'],
  ]);
  t.same(one('040c 2f73 616d 706c 652f 7061 7468'), [[':path', '/sample/path']]);
  t.same(one('1008 7061 7373 776f 7264 0673 6563 7265 74'), [['password', 'secret']]);
  t.same(one('82'), [[':method', 'GET']]);

  const check = (
    blocks: readonly Buffer[],
    lists: HeaderField[][],
    sizes: number[],
    max = 4096,
  ) => {
    const decoder = new HpackDecoder(max);
    blocks.forEach((block, i) => {
      t.same(decoder.decode(block), lists[i]);
      t.equal(decoder.tableBytes, sizes[i]);
    });
  };
  const c3 = [
    '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
    '8286 84be 5808 6e6f 2d63 6163 6865',
    '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
  ].map(hex);
  const c5 = [
    '4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a' +
      '3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
    '4803 3330 37c1 c0bf',
    '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04' +
      '677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49' +
      '553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
  ].map(hex);
  check(c3, REQUESTS, [57, 110, 164]);
  check(C4, REQUESTS, [57, 110, 164]);
  check(c5, RESPONSES, [222, 222, 215], 256);
  check(C6, RESPONSES, [222, 222, 215], 256);
});

t.test('HpackEncoder writes the blocks of RFC 7541 appendices C.4 and C.6', async (t) => {
  const requests = new HpackEncoder();
  REQUESTS.forEach((list, i) => t.same(requests.encode(list), C4[i]));
  const responses = new HpackEncoder({ maxTableBytes: 256, unindexed: new Set() });
  t.same(responses.encode(RESPONSES[0]!), Buffer.concat([hex('3fe101'), C6[0]!]));
  // The RFC Huffman-codes "307" to as many bytes as it has; we do so only where it is shorter.
  t.same(responses.encode(RESPONSES[1]!), hex('4803 3330 37c1 c0bf'));
  t.same(responses.encode(RESPONSES[2]!), C6[2]);
});

t.test('HpackEncoder marks sensitive fields and keeps them out of the table', async (t) => {
  const encoder = new HpackEncoder({ sensitive: new Set(['password']) });
  const block = encoder.encode([['password', 'secret']]);
  t.equal(block[0], 0x10);
  t.same(encoder.encode([['password', 'secret']]), block, 'no index the second time');
  t.equal(new HpackEncoder().encode([['password', 'secret']])[0], 0x40, 'control: indexed');
});

t.test('HpackEncoder and HpackDecoder agree through evictions and resizes', async (t) => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  let seed = 7;
  const random = (below: number): number =>
    (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % below;
  for (let round = 0; round < 2000; round++) {
    if (round % 97 === 0) {
      const bytes = random(5000);
      decoder.setMaxTableBytes(bytes);
      encoder.setMaxTableBytes(bytes);
    }
    const list: HeaderField[] = [[':authority', `10.244.1.${random(9)}:8080`]];
    for (let i = random(6); i > 0; i--) {
      const value = Array.from({ length: random(40) }, () => String.fromCharCode(random(256)));
      list.push([`x-${random(20)}`, random(2) ? value.join('') : `v${random(4)}`]);
    }
    t.strictSame(decoder.decode(encoder.encode(list)), list);
  }
});

t.test('huffmanEncode() is undone by huffmanDecode() for every octet', async (t) => {
  const text = Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString('latin1');
  const out = Buffer.alloc(huffmanLength(text));
  t.equal(huffmanEncode(text, out, 0), out.length);
  const back = Buffer.alloc(huffmanMaxDecoded(out.length));
  const count = huffmanDecode(out, 0, out.length, back);
  t.equal(back.toString('latin1', 0, count), text);
});

t.test('HpackDecoder refuses what RFC 7541 forbids', async (t) => {
  const refuse = (block: string, fault: string, decoder = new HpackDecoder()) => {
    try {
      decoder.decode(hex(block));
      t.fail(`${block} was taken`);
    } catch (error) {
      t.type(error, HpackError);
      t.equal((error as HpackError).fault, fault, block);
    }
  };
  refuse('80', 'index');
  refuse('be', 'index');
  refuse('ff ffff ffff 7f', 'integer');
  refuse('ff', 'integer');
  refuse('40', 'string');
  refuse('400a 61', 'string');
  refuse('4081 fe 00', 'huffman');
  refuse('4084 ffff ffff 00', 'huffman');
  refuse('4082 1fff 00', 'huffman');
  refuse('3fe2 1f', 'table-size');
  refuse('82 20', 'table-size');
  const shrunk = new HpackDecoder();
  shrunk.setMaxTableBytes(100);
  refuse('82', 'table-size', shrunk);
  t.same(shrunk.decode(hex('3f45 82')), [[':method', 'GET']], 'control: with the update');
  const small = new HpackDecoder(4096, 100);
  refuse('8282 8282', 'header-list-size', small);
  t.equal(new HpackDecoder(4096, 100).decode(hex('8282')).length, 2, 'control: within the limit');
});

t.test('FrameReader cuts a stream the same however it is chunked', async (t) => {
  const stream = Buffer.concat([
    CLIENT_PREFACE,
    encodeSettings([[4, 65535]]),
    encodeFrame(FRAME_TYPE.headers, FRAME_FLAG.endHeaders, 1, hex('82')),
    encodeFrame(FRAME_TYPE.data, 0, 1, Buffer.alloc(3000, 'x')),
    encodeFrame(FRAME_TYPE.data, FRAME_FLAG.endStream, 1),
  ]);
  const cut = (size: number): string[] => {
    const seen: string[] = [];
    const reader = new FrameReader(
      (header, payload, offset) => {
        const { type, flags, streamId, length } = header;
        seen.push([offset, type, flags, streamId, length, payload.toString('hex')].join(' '));
      },
      { isClient: true },
    );
    for (let at = 0; at < stream.length; at += size) reader.push(stream.subarray(at, at + size));
    t.equal(reader.heldBytes, 0);
    return seen;
  };
  const whole = cut(stream.length);
  t.equal(whole.length, 4);
  t.equal(whole[1]!.slice(0, 12), '39 1 4 1 1 8');
  for (const size of [1, 2, 5, 8, 9, 10, 100, 1460]) t.same(cut(size), whole);
});

t.test('FrameReader and decodeSettings() refuse malformed input', async (t) => {
  const reader = (limit: number) => new FrameReader(() => {}, { maxFrameBytes: limit });
  t.throws(() => reader(10).push(encodeFrame(0, 0, 1, Buffer.alloc(11))), Http2Error);
  t.doesNotThrow(() => reader(11).push(encodeFrame(0, 0, 1, Buffer.alloc(11))));
  const client = new FrameReader(() => {}, { isClient: true });
  t.equal(
    http2Code(() => client.push(Buffer.from('GET /'))),
    HTTP2_CODE.protocolError,
  );
  t.equal(
    http2Code(() => decodeSettings(Buffer.alloc(5))),
    HTTP2_CODE.frameSizeError,
  );
  const payload = (id: number, value: number) => encodeSettings([[id, value]]).subarray(9);
  t.equal(
    http2Code(() => decodeSettings(payload(4, 0x80000000))),
    HTTP2_CODE.flowControlError,
  );
  t.throws(() => decodeSettings(payload(5, 100)), Http2Error);
  t.same(decodeSettings(payload(5, 16384)), [[5, 16384]]);
  t.throws(() => contentRange(FRAME_TYPE.data, FRAME_FLAG.padded, 4, 4), Http2Error);
  t.same(contentRange(FRAME_TYPE.data, FRAME_FLAG.padded, 4, 3), { start: 1, end: 1 });
});

t.test('HpackEncoder and HpackDecoder work against nghttp2', async (t) => {
  const server = createServer();
  server.on('stream', (stream, headers) => {
    stream.respond({ ':status': 200, 'x-echo': headers['x-ask'], 'set-cookie': ['a=1', 'b=2'] });
    stream.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;

  const seen: string[][] = [];
  const decoder = new HpackDecoder();
  const encoder = new HpackEncoder();
  const socket = connectTcp(port, '127.0.0.1');
  const done = new Promise<void>((resolve) => {
    const reader = new FrameReader((header, payload) => {
      if (header.type !== FRAME_TYPE.headers) return;
      const list = decoder.decode(payload);
      seen.push([list[0]![1], list.find(([name]) => name === 'x-echo')![1]]);
      if (seen.length === 20) resolve();
    });
    socket.on('data', (chunk) => reader.push(chunk));
  });
  socket.write(Buffer.concat([CLIENT_PREFACE, encodeSettings([])]));
  for (let i = 0; i < 20; i++) {
    const list: HeaderField[] = [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', `/${i}`],
      [':authority', 'x'],
      ['x-ask', `value ${i % 7} !"#$%&'()*+~{|}`],
    ];
    const flags = FRAME_FLAG.endHeaders | FRAME_FLAG.endStream;
    socket.write(encodeFrame(FRAME_TYPE.headers, flags, 2 * i + 1, encoder.encode(list)));
  }
  await done;
  socket.destroy();
  t.same(
    seen,
    Array.from({ length: 20 }, (_, i) => ['200', `value ${i % 7} !"#$%&'()*+~{|}`]),
  );
});
