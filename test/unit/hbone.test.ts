import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { TcpConnectError } from '../../dataplane/hbone/errors.ts';
import { createDataPath } from '../../dataplane/hbone/data-path.ts';
import type { HboneStream } from '../../dataplane/hbone/api.ts';
import type { ClientStream } from '../../dataplane/hbone/client-connection.ts';
import type { ServerConnection } from '../../dataplane/hbone/server-connection.ts';
import {
  CLIENT_ID,
  SERVER_ID,
  keyTo,
  listenFd,
  makePool,
  socketFd,
  startApp,
  startHboneServer,
  startPair,
  type Pair,
  type TestApp,
} from '../fixtures/hbone/pair.ts';

const MEGABYTE = 1_000_000;

function dial(port: number): Socket {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => undefined);
  return socket;
}

/** Everything the peer sends until its FIN. */
async function drain(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  await once(socket, 'end');
  return Buffer.concat(parts);
}

async function until(claim: () => boolean, ms = 5_000): Promise<void> {
  for (const end = Date.now() + ms; !claim() && Date.now() < end;) await sleep(5);
  if (!claim()) throw new Error(`not so after ${ms} ms: ${claim.toString()}`);
}

async function withPair(
  app: TestApp,
  options: Parameters<typeof startPair>[1],
  body: (pair: Pair) => Promise<void>,
): Promise<void> {
  const pair = await startPair(app.port, options);
  try {
    await body(pair);
  } finally {
    await pair[Symbol.asyncDispose]();
    app.server.close();
  }
}

t.test('relay() carries 100 MB each way with equal SHA-256, and FIN both ways', async (t) => {
  const app = await startApp((socket) => void socket.pipe(socket));
  await withPair(app, {}, async (pair) => {
    const sent = createHash('sha256');
    const got = createHash('sha256');
    const socket = dial(pair.outboundPort);
    let bytes = 0;
    socket.on('data', (part: Buffer) => {
      got.update(part);
      bytes += part.length;
    });
    const ended = once(socket, 'end');
    for (let i = 0; i < 100; i++) {
      const part = randomBytes(MEGABYTE);
      sent.update(part);
      if (!socket.write(part)) await once(socket, 'drain');
    }
    socket.end();
    await ended;
    t.equal(bytes, 100 * MEGABYTE);
    t.equal(got.digest('hex'), sent.digest('hex'));
    await until(() => pair.relays.length === 1 && pair.hbone.relays.length === 1);
    const whole = { bytesAToB: 100 * MEGABYTE, bytesBToA: 100 * MEGABYTE };
    t.same(pair.relays[0], whole, 'client counts what it carried, no error');
    t.same(pair.hbone.relays[0], whole, 'server counts the same');
    t.equal(pair.hbone.connections[0]?.peerIdentity, CLIENT_ID);
  });
});

t.test('relay() keeps the halves apart: reply after FIN, server speaks first', async (t) => {
  const app = await startApp((socket) => {
    socket.write('hello first');
    void drain(socket).then((all) => socket.end(`got ${all.length}`));
  });
  await withPair(app, {}, async (pair) => {
    const socket = dial(pair.outboundPort);
    const greeting = (await once(socket, 'data')) as [Buffer];
    t.equal(String(greeting[0]), 'hello first');
    socket.end(randomBytes(300_000));
    t.equal(String(await drain(socket)), 'got 300000');
  });
  const eager = await startApp((socket) => {
    socket.end('bye');
    void drain(socket).then((all) => seen.push(all.length));
  });
  const seen: number[] = [];
  await withPair(eager, {}, async (pair) => {
    const socket = dial(pair.outboundPort);
    t.equal(String(await drain(socket)), 'bye', 'the server closed its half first');
    socket.end(randomBytes(50_000));
    await until(() => seen.length === 1);
    t.same(seen, [50_000], 'the other half went on');
  });
});

t.test('relay() maps a reset of the app to FIN, and keeps nothing open', async (t) => {
  const app = await startApp((socket) => socket.once('data', () => socket.resetAndDestroy()));
  await withPair(app, {}, async (pair) => {
    const socket = dial(pair.outboundPort);
    socket.write('now reset');
    t.equal((await drain(socket)).length, 0, 'client sees FIN, not RST');
    socket.end();
    await until(() => pair.relays.length === 1 && pair.hbone.relays.length === 1);
    t.equal(pair.relays[0]?.error, undefined, 'a normal end for the log');
    t.equal(pair.hbone.relays[0]?.error, undefined);
    await until(() => pair.hbone.connections[0]?.activeStreams === 0);
    await until(() => pair.server.openDescriptors === 2);
  });
  const other = await startApp((socket) => void socket.resume());
  await withPair(other, {}, async (pair) => {
    const socket = dial(pair.outboundPort);
    socket.write('x');
    await until(() => pair.hbone.streams.length === 1);
    await sleep(20);
    socket.resetAndDestroy();
    await until(() => pair.client.openDescriptors >= 2);
    await sleep(50);
    t.equal(pair.failures.length, 0);
  });
});

t.test('connect() and pool.connect() say why nothing was reached', async (t) => {
  const path = createDataPath();
  const server = startHboneServer(path);
  const pool = makePool(path);
  const free = listenFd();
  const listener = path.listen(free.fd, () => undefined);
  listener.close();
  const closed = { ip: '127.0.0.1', port: free.port };
  const plain = path.connect(socketFd(), closed);
  await t.rejects(plain, new TcpConnectError(closed, 'ECONNREFUSED'));
  const refused = { authority: `127.0.0.1:${free.port}`, headers: [] };
  const failed = pool.connect(keyTo(server.port), refused);
  await t.rejects(failed, { name: 'HttpStatusError', message: 'http status: 503' });
  await t.rejects(pool.connect(keyTo(free.port), refused), {
    name: 'TcpConnectError',
    osCode: 'ECONNREFUSED',
  });
  const wrong = makePool(path, { verifyPeer: () => failWith('not the expected SAN') });
  await t.rejects(wrong.connect(keyTo(server.port), refused), {
    name: 'PeerIdentityError',
    message: /not the expected SAN/,
  });
  const aborted = AbortSignal.abort();
  const connecting = path.connect(socketFd(), closed, { signal: aborted });
  await t.rejects(connecting, new TcpConnectError(closed, 'ECANCELED'));
  pool[Symbol.dispose]();
  path[Symbol.dispose]();
});

function failWith(message: string): never {
  throw new Error(message);
}

t.test('500 concurrent connections all arrive, over few HBONE connections', async (t) => {
  const app = await startApp((socket) => void socket.pipe(socket));
  await withPair(app, {}, async (pair) => {
    const one = async (i: number): Promise<boolean> => {
      const socket = dial(pair.outboundPort);
      const text = Buffer.from(`connection ${i}`);
      socket.end(text);
      return (await drain(socket)).equals(text);
    };
    const all = await Promise.all(Array.from({ length: 500 }, (_, i) => one(i)));
    t.ok(all.every(Boolean));
    t.ok(pair.hbone.opened <= 7, `${pair.hbone.opened} HBONE connections`);
    await until(() => pair.relays.length === 500);
  });
});

t.test('a slow reader holds its sender back with bounded memory, others go on', async (t) => {
  const sockets: Socket[] = [];
  const app = await startApp((socket) => {
    sockets.push(socket);
    if (sockets.length === 1) socket.pause();
    else socket.pipe(socket);
  });
  await withPair(app, {}, async (pair) => {
    const slow = dial(pair.outboundPort);
    let taken = 0;
    const part = Buffer.alloc(MEGABYTE, 7);
    const push = (): void => {
      while (taken < 200 && slow.write(part)) taken++;
    };
    slow.on('drain', push);
    await once(slow, 'connect');
    push();
    await until(() => sockets.length === 1);
    await sleep(700);
    const before = slow.bytesWritten;
    await sleep(300);
    t.equal(slow.bytesWritten, before, 'the sender stands still');
    t.ok(before < 40 * MEGABYTE, `${before} bytes on the way`);
    const quick = dial(pair.outboundPort);
    quick.end('still here');
    t.equal(String(await drain(quick)), 'still here', 'another stream is not held up');
    let got = 0;
    sockets[0]!.on('data', (bytes: Buffer) => (got += bytes.length));
    sockets[0]!.resume();
    await until(() => got > 100 * MEGABYTE, 20_000);
    t.pass('and goes on when read again');
    slow.destroy();
  });
});

t.test('KeyUpdate: by request, by ourselves, and at the limit of records', async (t) => {
  const app = await startApp((socket) => void socket.pipe(socket));
  const limits = { clientPath: { recordLimit: 100 }, serverPath: { recordLimit: 150 } };
  await withPair(app, limits, async (pair) => {
    const stream = await openEcho(pair, app);
    const client = stream.inner.session.sealed;
    const server = (pair.hbone.connections[0] as ServerConnection).sealed;
    client.updateWriteKey();
    t.equal(await stream.ask('one'), 'one', 'client has a new key');
    t.same([client.keyUpdatesSent, server.keyUpdatesReceived], [1, 1]);
    server.updateWriteKey(true);
    t.equal(await stream.ask('two'), 'two', 'server asked for another');
    t.equal(await stream.ask('three'), 'three');
    t.same([server.keyUpdatesSent, client.keyUpdatesReceived, client.keyUpdatesSent], [1, 1, 2]);
    for (let i = 0; i < 400; i++) await stream.ask(`record ${i}`);
    t.ok(client.keyUpdatesSent >= 5, `client re-keyed ${client.keyUpdatesSent} times`);
    t.ok(server.keyUpdatesSent >= 3, `server re-keyed ${server.keyUpdatesSent} times`);
    const bulk = randomBytes(5 * MEGABYTE);
    const socket = dial(pair.outboundPort);
    socket.end(bulk);
    t.ok((await drain(socket)).equals(bulk), 'bulk across key changes');
  });
});

interface Echo {
  readonly inner: ClientStream;
  ask(text: string): Promise<string>;
}

async function openEcho(pair: Pair, app: TestApp): Promise<Echo> {
  const request = { authority: `127.0.0.1:${app.port}`, headers: [] };
  const stream = (await pair.pool.connect(keyTo(pair.hbone.port), request)) as ClientStream;
  let onText: (text: string) => void = () => undefined;
  stream.receive({
    onBytes: (bytes) => onText(String(bytes)),
    onEnd: () => onText('END'),
    onError: (error) => onText(error.message),
  });
  return {
    inner: stream,
    ask: (text) =>
      new Promise((resolve) => {
        onText = resolve;
        stream.write(Buffer.from(text));
      }),
  };
}

t.test('streams know their tunnel, headers and identities', async (t) => {
  const path = createDataPath();
  const server = startHboneServer(path, {
    onStream: (stream) => {
      t.equal(stream.method, 'CONNECT');
      t.equal(stream.authority, '10.0.0.1:80');
      t.same(stream.headers, [
        ['baggage', 'a=1'],
        ['forwarded', 'for="1.2.3.4:5"'],
      ]);
      t.equal(stream.connection.peerIdentity, CLIENT_ID);
      stream.respond(200, [['baggage', 'b=2']]);
      stream.write(Buffer.from('hi'));
      stream.end();
    },
  });
  const lines: string[] = [];
  const other = createDataPath({ keylog: (line) => lines.push(line) });
  const pool = makePool(other);
  const stream = await pool.connect(keyTo(server.port), {
    authority: '10.0.0.1:80',
    headers: [
      ['baggage', 'a=1'],
      ['forwarded', 'for="1.2.3.4:5"'],
    ],
  });
  t.equal(stream.header('baggage'), 'b=2');
  t.equal(stream.peerIdentity, SERVER_ID);
  t.equal(stream.tunnel.remote.port, server.port);
  t.equal(stream.tunnel.streamId, 1);
  t.equal(await readAll(stream), 'hi');
  t.equal(server.streams.length, 0, 'own handler was used');
  const labels = lines.map((line) => line.split(' ')[0]);
  t.ok(labels.includes('CLIENT_TRAFFIC_SECRET_0') && labels.includes('SERVER_TRAFFIC_SECRET_0'));
  pool[Symbol.dispose]();
  other[Symbol.dispose]();
  path[Symbol.dispose]();
});

function readAll(stream: HboneStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    stream.receive({
      onBytes: (bytes) => (text += String(bytes)),
      onEnd: () => resolve(text),
      onError: reject,
    });
  });
}

t.test('aborting a relay resets both sides at once', async (t) => {
  const app = await startApp((socket) => void socket.resume());
  const path = createDataPath();
  const server = startHboneServer(path);
  const pool = makePool(path);
  const { fd, port } = listenFd();
  const abort = new AbortController();
  const results: unknown[] = [];
  path.listen(fd, async (connection) => {
    const request = { authority: `127.0.0.1:${app.port}`, headers: [] };
    const stream = await pool.connect(keyTo(server.port), request);
    results.push(await path.relay(connection, stream, { signal: abort.signal }));
  });
  const socket = dial(port);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await until(() => server.streams.length === 1);
  await sleep(20);
  abort.abort(new Error('connection closed due to policy change'));
  await closed;
  await until(() => results.length === 1 && server.relays.length === 1);
  t.match(results[0], { error: { message: 'connection closed due to policy change' } });
  app.server.close();
  pool[Symbol.dispose]();
  path[Symbol.dispose]();
});
