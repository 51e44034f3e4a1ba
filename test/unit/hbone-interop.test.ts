import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2, createSecureServer, type ServerHttp2Stream } from 'node:http2';
import { connect as connectTcp, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import type { DataPath, HboneStream } from '../../dataplane/hbone/api.ts';
import { createDataPath } from '../../dataplane/hbone/data-path.ts';
import { FRAME_TYPE, HTTP2_CODE, encodeFrame, encodeSettings } from '../../dataplane/wire/http2.ts';
import {
  CA,
  CLIENT,
  SERVER,
  keyTo,
  makePool,
  startApp,
  startHboneServer,
  type HboneServer,
} from '../fixtures/hbone/pair.ts';
import { credentialsFor, makeCa } from '../fixtures/hbone/credentials.ts';
import { dialRaw, listenRaw, type RawPeer } from '../fixtures/hbone/raw-peer.ts';

const FOREIGN = credentialsFor(CA, 'spiffe://other.domain/ns/default/sa/client');

async function withServer(
  body: (server: HboneServer, appPort: number, path: DataPath) => Promise<void>,
  options: Parameters<typeof startHboneServer>[1] = {},
): Promise<void> {
  const app = await startApp((socket) => void socket.pipe(socket));
  const path = createDataPath();
  const server = startHboneServer(path, options);
  try {
    await body(server, app.port, path);
  } finally {
    path[Symbol.dispose]();
    app.server.close();
  }
}

t.test('server: SETTINGS, WINDOW_UPDATE and statuses as recorded from the genuine ztunnel', (t) =>
  withServer(async (server, appPort) => {
    const peer = await dialRaw(server.port, CLIENT);
    t.equal(peer.socket.alpnProtocol, 'h2');
    t.equal(peer.socket.getCipher().standardName, 'TLS_AES_256_GCM_SHA384');
    peer.greet(true);
    peer.sendHeaders(1, connectTo(`127.0.0.1:${appPort}`));
    await peer.expect((frame) => frame.type === FRAME_TYPE.headers);
    peer.send(FRAME_TYPE.data, 1, 1, Buffer.from('from 10.77.0.2'));
    await peer.expect((frame) => frame.type === FRAME_TYPE.data && (frame.flags & 1) === 1);
    t.same(peer.describe().slice(0, 3), [
      'SETTINGS flags=0x0 stream=0 len=24 [(3, 200), (4, 4194304), (5, 1048576), (6, 65536)]',
      'WINDOW_UPDATE flags=0x0 stream=0 len=4 +16711681',
      'SETTINGS flags=0x1 stream=0 len=0 []',
    ]);
    t.match(peer.describe().slice(3), [
      /^HEADERS flags=0x4 stream=1/,
      'DATA flags=0x0 stream=1 len=14',
      'DATA flags=0x1 stream=1 len=0',
    ]);
    t.same(peer.frames[3]?.fields?.[0], [':status', '200']);
    peer.sendHeaders(3, connectTo('127.0.0.1:1'));
    await peer.expect((frame) => frame.type === FRAME_TYPE.rstStream);
    t.same(peer.describe().slice(6), [
      'HEADERS flags=0x5 stream=3 len=5',
      'RST_STREAM flags=0x0 stream=3 len=4 code=0',
    ]);
    peer.socket.destroy();
  }),
);

function connectTo(authority: string): [string, string][] {
  return [
    [':method', 'CONNECT'],
    [':authority', authority],
  ];
}

t.test('client: preface, SETTINGS, CONNECT, PING and GOAWAY as recorded', async (t) => {
  const peers: RawPeer[] = [];
  const { server, port } = await listenRaw(SERVER, (peer) => {
    peers.push(peer);
    peer.greet(false);
  });
  const path = createDataPath();
  const pool = makePool(path, { settings: { pingIntervalMs: 100, pingTimeoutMs: 150 } });
  const headers: [string, string][] = [
    ['baggage', 'k8s.cluster.name=Kubernetes'],
    ['forwarded', 'for="10.77.0.1:38930"'],
    ['traceparent', '00-3fc77c42b4a386d47431a0c15c47b939-a58ae573110dc35d-00'],
  ];
  const connecting = pool.connect(keyTo(port), { authority: '10.77.0.2:8080', headers });
  while (peers.length === 0) await sleep(2);
  const peer = peers[0]!;
  t.notOk(peer.socket.servername, 'no SNI');
  const request = await peer.expect((frame) => frame.type === FRAME_TYPE.headers);
  t.same(request.fields, [...connectTo('10.77.0.2:8080'), ...headers]);
  t.same(peer.describe().slice(0, 2), [
    'SETTINGS flags=0x0 stream=0 len=24 [(2, 0), (4, 4194304), (5, 1048576), (6, 16384)]',
    'WINDOW_UPDATE flags=0x0 stream=0 len=4 +16711681',
  ]);
  peer.sendHeaders(1, [[':status', '200']]);
  const stream = await connecting;
  stream.write(Buffer.from('x'));
  stream.end();
  const last = await peer.expect((frame) => frame.type === FRAME_TYPE.data && frame.flags === 1);
  t.equal(last.payload.length, 0, 'END_STREAM on an empty DATA frame');
  const ping = await peer.expect((frame) => frame.type === FRAME_TYPE.ping);
  t.equal(ping.payload.toString('hex'), '3b7cdb7a0b8716b4');
  const failed = new Promise((resolve) => {
    stream.receive({ onBytes() {}, onEnd: () => resolve('end'), onError: resolve });
  });
  t.match(await failed, { message: 'h2 failed: keepalive timeout' }, 'PING without PONG');
  await peer.expect((frame) => frame.type === FRAME_TYPE.goaway);
  t.match(peer.describe().at(-1), /^GOAWAY .* last=0 code=0$/);
  pool[Symbol.dispose]();
  path[Symbol.dispose]();
  server.close();
});

t.test('server refuses: no certificate, foreign trust domain, foreign CA, wrong ALPN', (t) =>
  withServer(async (server, appPort) => {
    const good = await dialRaw(server.port, CLIENT, { alpn: undefined });
    good.greet(true);
    good.sendHeaders(1, connectTo(`127.0.0.1:${appPort}`));
    await good.expect((frame) => frame.type === FRAME_TYPE.headers);
    t.notOk(good.socket.alpnProtocol, 'no ALPN offered is taken');
    good.socket.destroy();
    const anonymous = await dialRaw(server.port, CLIENT, { isAnonymous: true });
    anonymous.greet(true);
    await anonymous.closed();
    t.match(anonymous.closeError?.message, /certificate required/i, 'alert 116');
    t.equal(anonymous.frames.length, 0);
    const foreign = await dialRaw(server.port, FOREIGN);
    foreign.greet(true);
    await foreign.closed();
    t.equal(foreign.frames.length, 0, 'not a frame for a foreign trust domain');
    const stranger = credentialsFor(makeCa(), 'spiffe://cluster.local/ns/default/sa/client', CA);
    const unknown = await dialRaw(server.port, stranger);
    unknown.greet(true);
    await unknown.closed();
    t.equal(unknown.frames.length, 0, 'nor for a foreign CA');
    await t.rejects(dialRaw(server.port, CLIENT, { alpn: ['http/1.1'] }), {
      message: /no application protocol/,
    });
    await until(() => server.refusals.length === 4);
    t.match(server.refusals.map((error) => (error as Error).name).sort(), [
      'PeerIdentityError',
      'TlsHandshakeError',
      'TlsHandshakeError',
      'TlsHandshakeError',
    ]);
    t.equal(server.connections.length, 1, 'only the good one is up');
  }),
);

async function until(claim: () => boolean, ms = 3_000): Promise<void> {
  for (const end = Date.now() + ms; !claim() && Date.now() < end;) await sleep(2);
  if (!claim()) throw new Error(`not so after ${ms} ms: ${claim.toString()}`);
}

t.test('server takes each cipher suite of TLS 1.3', (t) =>
  withServer(async (server, appPort) => {
    const ciphers = ['AES_128_GCM_SHA256', 'AES_256_GCM_SHA384', 'CHACHA20_POLY1305_SHA256'];
    for (const cipher of ciphers.map((name) => `TLS_${name}`)) {
      const peer = await dialRaw(server.port, CLIENT, { ciphers: cipher });
      t.equal(peer.socket.getCipher().standardName, cipher);
      t.equal(await echoThrough(peer, appPort), 'over the cipher', cipher);
      peer.socket.destroy();
    }
  }),
);

async function echoThrough(peer: RawPeer, appPort: number): Promise<string> {
  peer.greet(true);
  peer.sendHeaders(1, connectTo(`127.0.0.1:${appPort}`));
  peer.send(FRAME_TYPE.data, 0, 1, Buffer.from('over the cipher'));
  const data = await peer.expect((frame) => frame.type === FRAME_TYPE.data);
  return String(data.payload);
}

t.test('node:http2 as client: CONNECT, 20 MB each way, trailers of the session', (t) =>
  withServer(async (server, appPort) => {
    const socket = connectTls({
      port: server.port,
      host: '127.0.0.1',
      key: CLIENT.key,
      cert: CLIENT.certificateChain,
      ca: CLIENT.roots,
      ALPNProtocols: ['h2'],
      checkServerIdentity: () => undefined,
    });
    const session = connectHttp2('https://hbone', { createConnection: () => socket });
    const stream = session.request({
      ':method': 'CONNECT',
      ':authority': `127.0.0.1:${appPort}`,
    });
    const data = randomBytes(20_000_000);
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    t.equal(headers[':status'], 200);
    t.equal(headers['baggage'], 'k8s.cluster.name=Kubernetes');
    const hash = createHash('sha256');
    stream.on('data', (part: Buffer) => hash.update(part));
    stream.end(data);
    await once(stream, 'end');
    t.equal(hash.digest('hex'), sha256(data));
    const refused = session.request({ ':method': 'CONNECT', ':authority': '127.0.0.1:1' });
    const [failure] = (await once(refused, 'response')) as [Record<string, unknown>];
    t.equal(failure[':status'], 503);
    session.close();
    await once(session, 'close');
  }),
);

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

t.test('node:http2 as server, with its small windows and frames', async (t) => {
  const server = createSecureServer({
    key: SERVER.key,
    cert: SERVER.certificateChain,
    ca: SERVER.roots,
    requestCert: true,
    rejectUnauthorized: true,
  });
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    if (headers[':authority'] === 'denied:1')
      return stream.respond({ ':status': 401 }, { endStream: true });
    stream.respond({ ':status': 200, baggage: 'from=node' });
    stream.on('error', () => undefined);
    if (headers[':authority'] === 'reset:1') return stream.close(HTTP2_CODE.internalError);
    stream.pipe(stream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const path = createDataPath();
  const pool = makePool(path);
  const stream = await pool.connect(keyTo(port), { authority: '10.0.0.1:80', headers: [] });
  t.equal(stream.header('baggage'), 'from=node');
  const data = randomBytes(20_000_000);
  t.equal(await exchange(stream, data), sha256(data), '20 MB through 64 kB windows');
  const denied = pool.connect(keyTo(port), { authority: 'denied:1', headers: [] });
  await t.rejects(denied, { message: 'http status: 401', status: 401 });
  const reset = await pool.connect(keyTo(port), { authority: 'reset:1', headers: [] });
  const failure = await new Promise((resolve) => {
    reset.receive({ onBytes() {}, onEnd: () => resolve('end'), onError: resolve });
  });
  t.match(failure, { name: 'Http2Error', errorCode: HTTP2_CODE.internalError });
  pool[Symbol.dispose]();
  path[Symbol.dispose]();
  server.close();
});

function exchange(stream: HboneStream, data: Buffer): Promise<string> {
  const hash = createHash('sha256');
  return new Promise((resolve, reject) => {
    stream.receive({
      onBytes: (bytes) => hash.update(bytes),
      onEnd: () => resolve(hash.digest('hex')),
      onError: reject,
    });
    stream.write(data);
    stream.end();
  });
}

t.test('server answers faults with GOAWAY or RST_STREAM and the right code', async (t) => {
  const ready: [string, (peer: RawPeer) => void, RegExp][] = [
    ['DATA on stream 0', (p) => p.send(0, 0, 0, Buffer.from('x')), /GOAWAY .* code=1$/],
    ['DATA on an idle stream', (p) => p.send(0, 0, 9, Buffer.from('x')), /GOAWAY .* code=1$/],
    ['PING of 7 bytes', (p) => p.send(6, 0, 0, Buffer.alloc(7)), /GOAWAY .* code=6$/],
    ['even stream', (p) => p.sendHeaders(2, connectTo('a:1')), /GOAWAY .* code=1$/],
    ['window by 0', (p) => p.send(8, 0, 0, Buffer.alloc(4)), /GOAWAY .* code=1$/],
    [
      'window over 2^31',
      (p) => p.send(8, 0, 0, Buffer.from('7fffffff', 'hex')),
      /GOAWAY .* code=3$/,
    ],
    ['bad HPACK', (p) => p.send(1, 4, 1, Buffer.from('ff0000', 'hex')), /GOAWAY .* code=9$/],
    ['CONTINUATION alone', (p) => p.send(9, 4, 1, Buffer.alloc(1)), /GOAWAY .* code=1$/],
    [
      'frame of 2 MB',
      (p) => p.socket.write(Buffer.from('2000000000000000010', 'hex')),
      /GOAWAY .* code=6$/,
    ],
    ['endless headers', (p) => endlessHeaders(p), /GOAWAY .* code=11$/],
    ['huge header list', (p) => p.sendHeaders(1, hugeList()), /GOAWAY .* code=11$/],
    ['PUSH_PROMISE', (p) => p.send(5, 4, 1, Buffer.alloc(8)), /GOAWAY .* code=1$/],
    [
      'upper case',
      (p) => p.sendHeaders(1, [...connectTo('a:1'), ['X-A', 'b']]),
      /RST_STREAM .* code=1$/,
    ],
    ['no method', (p) => p.sendHeaders(1, [[':authority', 'a:1']]), /RST_STREAM .* code=1$/],
    ['many idle frames', (p) => manyPings(p), /GOAWAY .* code=11$/],
    ['rapid reset', (p) => rapidReset(p), /GOAWAY .* code=11$/],
  ];
  await withServer(
    async (server) => {
      for (const [name, act, wished] of ready) {
        const peer = await dialRaw(server.port, CLIENT);
        peer.greet(true);
        await peer.expect((frame) => frame.type === FRAME_TYPE.settings && frame.flags === 1);
        act(peer);
        const isAnswer = (type: number): boolean =>
          type === FRAME_TYPE.goaway || type === FRAME_TYPE.rstStream;
        await peer.expect((frame) => isAnswer(frame.type));
        t.match(
          peer
            .describe()
            .filter((line) => !/^PING|^HEADERS/.test(line))
            .at(-1),
          wished,
          name,
        );
        peer.socket.destroy();
      }
      const peer = await dialRaw(server.port, CLIENT);
      peer.greet(true);
      peer.send(0xbe, 0xff, 77, Buffer.alloc(20_000));
      peer.send(FRAME_TYPE.ping, 0, 0, Buffer.from('12345678'));
      const pong = await peer.expect((frame) => frame.type === FRAME_TYPE.ping);
      t.equal(String(pong.payload), '12345678', 'unknown frames are skipped');
      peer.socket.destroy();
    },
    { onStream: () => undefined },
  );
});

function endlessHeaders(peer: RawPeer): void {
  peer.send(FRAME_TYPE.headers, 0, 1, Buffer.alloc(10, 0x82));
  for (let i = 0; i < 100; i++) peer.send(FRAME_TYPE.continuation, 0, 1, Buffer.alloc(0));
}

function hugeList(): [string, string][] {
  return [
    ...connectTo('a:1'),
    ...Array.from({ length: 40 }, (): [string, string] => ['x', 'y'.repeat(2000)]),
  ];
}

function manyPings(peer: RawPeer): void {
  const ping = encodeFrame(FRAME_TYPE.ping, 0, 0, Buffer.alloc(8));
  peer.socket.write(Buffer.concat(Array.from({ length: 10_500 }, () => ping)));
}

function rapidReset(peer: RawPeer): void {
  for (let id = 1; id < 2_400; id += 2) {
    peer.sendHeaders(id, connectTo('a:1'));
    peer.send(FRAME_TYPE.rstStream, 0, id, Buffer.from([0, 0, 0, 8]));
  }
}

t.test('padding, split frames and CONTINUATION arrive whole', (t) =>
  withServer(async (server, appPort) => {
    const peer = await dialRaw(server.port, CLIENT);
    peer.greet(true);
    const block = peer.encoder.encode(connectTo(`127.0.0.1:${appPort}`));
    peer.send(FRAME_TYPE.headers, 0, 1, block.subarray(0, 3));
    peer.send(FRAME_TYPE.continuation, 4, 1, block.subarray(3));
    const padded = Buffer.concat([Buffer.from([5]), Buffer.from('padded '), Buffer.alloc(5)]);
    peer.send(FRAME_TYPE.data, 8, 1, padded);
    const frame = encodeFrame(FRAME_TYPE.data, 1, 1, Buffer.from('and split'));
    for (const byte of frame) {
      peer.socket.write(Buffer.from([byte]));
      await sleep(1);
    }
    await peer.expect((seen) => seen.type === FRAME_TYPE.data && seen.flags === 1);
    const data = peer.frames.filter((seen) => seen.type === FRAME_TYPE.data);
    t.equal(Buffer.concat(data.map((seen) => seen.payload)).toString(), 'padded and split');
    peer.socket.destroy();
  }),
);

t.test('graceful GOAWAY warns, takes what is under way, then names the last stream', (t) =>
  withServer(async (server, appPort) => {
    const peer = await dialRaw(server.port, CLIENT);
    peer.greet(true);
    peer.sendHeaders(1, connectTo(`127.0.0.1:${appPort}`));
    await peer.expect((frame) => frame.type === FRAME_TYPE.headers);
    server.connections[0]!.goaway();
    const ping = await peer.expect((frame) => frame.type === FRAME_TYPE.ping);
    t.match(peer.describe(), [/SETT/, /WIND/, /SETT/, /HEAD/, /GOAWAY .* last=2147483647 code=0/]);
    peer.sendHeaders(3, connectTo(`127.0.0.1:${appPort}`));
    peer.send(FRAME_TYPE.ping, 1, 0, ping.payload);
    await peer.expect((frame) => frame.streamId === 3);
    await peer.expect((frame) => frame.type === FRAME_TYPE.goaway && frame.payload[3] === 3);
    peer.sendHeaders(5, connectTo(`127.0.0.1:${appPort}`));
    await peer.expect((frame) => frame.type === FRAME_TYPE.rstStream);
    t.match(peer.describe().at(-1), /RST_STREAM .*stream=5 .*code=7/, 'refused');
    peer.send(FRAME_TYPE.data, 1, 1);
    peer.send(FRAME_TYPE.data, 1, 3);
    await peer.closed();
    t.equal(peer.closeError, undefined, 'close_notify, then FIN');
  }),
);

t.test('sever() closes without GOAWAY, close() says it', (t) =>
  withServer(async (server, appPort) => {
    for (const how of ['sever', 'close'] as const) {
      const peer = await dialRaw(server.port, CLIENT);
      peer.greet(true);
      peer.sendHeaders(1, connectTo(`127.0.0.1:${appPort}`));
      await peer.expect((frame) => frame.type === FRAME_TYPE.headers);
      server.connections.at(-1)![how]();
      await peer.closed();
      const goaways = peer.frames.filter(({ type }) => type === FRAME_TYPE.goaway);
      t.equal(goaways.length, how === 'close' ? 1 : 0, how);
    }
  }),
);

t.test('close_notify and a cut are told apart', (t) =>
  withServer(async (server) => {
    const polite = await dialRaw(server.port, CLIENT);
    polite.greet(true);
    await polite.expect((frame) => frame.flags === 1);
    polite.socket.end();
    await until(() => server.connections.length === 1);
    t.equal(await server.connections[0]!.closed, undefined);
    const rude = await dialRaw(server.port, CLIENT);
    rude.greet(true);
    await rude.expect((frame) => frame.flags === 1);
    cut(rude);
    await until(() => server.connections.length === 2);
    t.match(await server.connections[1]!.closed, { name: 'ChannelError' });
  }),
);

/** Ends TCP under TLS, as a dying process does. */
function cut(peer: RawPeer): void {
  const { _parent: parent, _handle: handle } = peer.socket as unknown as {
    _parent?: { destroy(): void };
    _handle?: { _parent?: { close(): void } };
  };
  if (parent) parent.destroy();
  else handle?._parent?.close();
}

t.test('openssl s_client asks for KeyUpdate and reads on', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'hbone-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  await withServer(async (server) => {
    const args = ['s_client', '-connect', `127.0.0.1:${server.port}`, '-alpn', 'h2', '-msg'];
    args.push('-cert', file('c.pem', CLIENT.certificateChain), '-key', file('c.key', CLIENT.key));
    args.push('-CAfile', file('ca.pem', CLIENT.roots));
    const program = spawn('openssl', args, { stdio: ['pipe', 'pipe', 'ignore'] });
    let output = '';
    program.stdout.on('data', (part: Buffer) => (output += part.toString('latin1')));
    try {
      await until(() => server.connections.length === 1);
      await sleep(100);
      const counts = (server.connections[0] as unknown as { sealed: Counts }).sealed;
      program.stdin.write('K\n');
      await until(() => counts.keyUpdatesSent === 1);
      program.stdin.write('k\n');
      await until(() => counts.keyUpdatesReceived === 2);
      await until(() => (output.match(/KeyUpdate/g) ?? []).length >= 3);
      t.equal(counts.keyUpdatesSent, 1, 'answered only when asked');
      t.match(output, /<<< TLS 1\.3, Handshake \[length 0005\], KeyUpdate/, 'openssl read ours');
      program.stdin.write(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'));
      await sleep(50);
      t.notMatch(output, /fatal/, 'records still open under the new keys');
    } finally {
      program.kill();
      await once(program, 'close');
    }
  });
});

interface Counts {
  readonly keyUpdatesSent: number;
  readonly keyUpdatesReceived: number;
}

t.test('client dials a peer that greets and leaves once for each request', async (t) => {
  let dialled = 0;
  const { server, port } = await listenRaw(SERVER, (peer) => {
    dialled++;
    // In one record, so that the client has read both when it could send.
    const goaway = encodeFrame(FRAME_TYPE.goaway, 0, 0, Buffer.alloc(8));
    peer.socket.end(Buffer.concat([encodeSettings([]), goaway]));
  });
  const path = createDataPath();
  const pool = makePool(path);
  const request = { authority: '10.77.0.2:8080', headers: [] };
  const connecting = Array.from({ length: 3 }, () => pool.connect(keyTo(port), request));
  const limit = AbortSignal.timeout(5_000);
  const outcomes = await Promise.race([Promise.allSettled(connecting), once(limit, 'abort')]);
  t.match(outcomes, Array(3).fill({ status: 'rejected', reason: { name: 'HboneClosedError' } }));
  t.ok(dialled >= 1 && dialled <= 3, `dialled ${dialled} times`);
  await until(() => pool.connectionCount === 0 && path.openDescriptors === 0);
  pool[Symbol.dispose]();
  path[Symbol.dispose]();
  server.close();
});

t.test('server lets go at once of a client that leaves before its handshake', (t) =>
  withServer(async (server, _appPort, path) => {
    const idle = path.openDescriptors;
    for (const bytes of ['', '16', '160301000501000001ff']) {
      const socket = connectTcp({ port: server.port, host: '127.0.0.1' });
      socket.end(Buffer.from(bytes, 'hex'));
      socket.resume();
      const startMs = performance.now();
      await once(socket, 'close');
      await until(() => path.openDescriptors === idle);
      t.ok(performance.now() - startMs < 450, `after "${bytes}"`);
    }
    await until(() => server.refusals.length === 3);
    t.match(server.refusals, Array(3).fill({ name: 'TlsHandshakeError' }));
  }),
);
