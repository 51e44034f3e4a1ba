import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { HbonePool, HbonePoolOptions, HboneStream } from '../../dataplane/hbone/api.ts';
import { createDataPath } from '../../dataplane/hbone/data-path.ts';
import {
  CLIENT_ID,
  keyTo,
  makePool,
  startHboneServer,
  type HboneServer,
} from '../fixtures/hbone/pair.ts';

interface Bench extends Disposable {
  readonly server: HboneServer;
  readonly pool: HbonePool;
  readonly dropped: () => number;
  open(sourceIdentity?: string): Promise<HboneStream>;
}

/** A pool against an HBONE server that answers 200 and echoes (facts §10.9). */
function bench(options: Partial<HbonePoolOptions> = {}): Bench {
  const path = createDataPath();
  let dropped = 0;
  const server = startHboneServer(path, {
    onStream: (stream) => {
      stream.respond(200);
      stream.receive({
        onBytes: (bytes) => stream.write(bytes),
        onEnd: () => stream.end(),
        onError: () => undefined,
      });
    },
  });
  const client = createDataPath();
  const pool = makePool(client, options);
  const watched = new Set<unknown>();
  const timer = setInterval(() => {
    for (const connection of server.connections) {
      if (watched.has(connection)) continue;
      watched.add(connection);
      void connection.closed.then(() => dropped++);
    }
  }, 1);
  const request = { authority: '127.0.0.1:1', headers: [] };
  return {
    server,
    pool,
    dropped: () => dropped,
    open: (sourceIdentity = CLIENT_ID) => pool.connect(keyTo(server.port, sourceIdentity), request),
    [Symbol.dispose]() {
      clearInterval(timer);
      pool[Symbol.dispose]();
      client[Symbol.dispose]();
      path[Symbol.dispose]();
    },
  };
}

async function until(claim: () => boolean, ms = 3_000): Promise<void> {
  for (const end = Date.now() + ms; !claim() && Date.now() < end;) await sleep(2);
  if (!claim()) throw new Error(`not so after ${ms} ms: ${claim.toString()}`);
}

/** Ends a stream and waits for the peer's end. */
async function finish(stream: HboneStream): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.receive({ onBytes() {}, onEnd: resolve, onError: reject });
    stream.end();
  });
}

async function withBench(
  t: Test,
  options: Partial<HbonePoolOptions>,
  body: (bench: Bench) => Promise<void>,
): Promise<void> {
  const made = bench(options);
  try {
    await body(made);
  } finally {
    made[Symbol.dispose]();
  }
  void t;
}

t.test('pool reuses a connection, and dropping the pool drops it', (t) =>
  withBench(t, { maxStreamsPerConnection: 3 }, async (b) => {
    const two = await Promise.all([b.open(), b.open()]);
    t.equal(b.server.opened, 1);
    await Promise.all(two.map(finish));
    await finish(await b.open());
    t.equal(b.server.opened, 1, 'still one');
    t.equal(b.pool.connectionCount, 1);
    await until(() => b.server.connections.length === 1);
    await sleep(5);
    b.pool[Symbol.dispose]();
    await until(() => b.dropped() === 1);
    await t.rejects(b.open(), { message: 'pool draining' });
  }),
);

t.test('pool keeps connections of different keys apart', (t) =>
  withBench(t, {}, async (b) => {
    const all = await Promise.all([
      b.open('spiffe://a'),
      b.open('spiffe://b'),
      b.open('spiffe://a'),
    ]);
    t.equal(b.server.opened, 2);
    await Promise.all(all.map(finish));
  }),
);

t.test('pool obeys its limit of streams; a full connection goes when it is empty', (t) =>
  withBench(t, { maxStreamsPerConnection: 2 }, async (b) => {
    const four = await Promise.all([b.open(), b.open(), b.open(), b.open()]);
    t.equal(b.server.opened, 2);
    await sleep(5);
    await Promise.all(four.map(finish));
    await until(() => b.dropped() === 2);
    const five = await Promise.all(Array.from({ length: 5 }, () => b.open()));
    t.equal(b.server.opened, 5, 'three new ones');
    await Promise.all(five.map(finish));
  }),
);

t.test('pool obeys the limit of streams that the peer announces', async (t) => {
  const path = createDataPath();
  const server = startHboneServer(path, {
    settings: { maxConcurrentStreams: 2 },
    onStream: (stream) => stream.respond(200),
  });
  const pool = makePool(path);
  const request = { authority: '127.0.0.1:1', headers: [] };
  await Promise.all(Array.from({ length: 4 }, () => pool.connect(keyTo(server.port), request)));
  t.equal(server.opened, 2);
  pool[Symbol.dispose]();
  path[Symbol.dispose]();
});

t.test('pool with one stream a connection makes one each', (t) =>
  withBench(t, { maxStreamsPerConnection: 1 }, async (b) => {
    const three = await Promise.all([b.open(), b.open(), b.open()]);
    t.equal(b.server.opened, 3);
    await Promise.all(three.map(finish));
  }),
);

t.test('pool: 100 streams of one source share one connection, 100 sources have one each', (t) =>
  withBench(t, { maxStreamsPerConnection: 101 }, async (b) => {
    const many = await Promise.all(Array.from({ length: 100 }, () => b.open()));
    t.equal(b.server.opened, 1);
    await Promise.all(many.map(finish));
    const sources = Array.from({ length: 100 }, (_, i) => b.open(`spiffe://source/${i}`));
    await Promise.all((await Promise.all(sources)).map(finish));
    t.equal(b.server.opened, 101);
  }),
);

t.test('pool leaves a connection that got GOAWAY; its streams run on', (t) =>
  withBench(t, {}, async (b) => {
    const stream = await b.open();
    await until(() => b.server.connections.length === 1);
    b.server.connections[0]!.goaway();
    await sleep(20);
    const other = await b.open();
    t.equal(b.server.opened, 2, 'a new connection');
    const echoed = new Promise<string>((resolve, reject) => {
      stream.receive({ onBytes: (x) => resolve(String(x)), onEnd() {}, onError: reject });
    });
    stream.write(Buffer.from('still alive'));
    t.equal(await echoed, 'still alive');
    stream.end();
    await finish(other);
    await until(() => b.dropped() === 1);
  }),
);

t.test('pool gives back a connection that nobody asked for', (t) =>
  withBench(t, { idleReleaseMs: 60 }, async (b) => {
    await finish(await b.open());
    t.equal(b.pool.connectionCount, 1);
    await until(() => b.pool.connectionCount === 0);
    await until(() => b.dropped() === 1);
    const lasting = await b.open();
    await sleep(150);
    t.equal(b.pool.connectionCount, 1, 'a live stream keeps its connection');
    await finish(lasting);
    await until(() => b.pool.connectionCount === 0);
  }),
);

t.test('pool.drain() lets streams end; disposing breaks them', (t) =>
  withBench(t, {}, async (b) => {
    const stream = await b.open();
    b.pool.drain();
    await t.rejects(b.open(), { message: 'pool draining' });
    await finish(stream);
    await until(() => b.pool.connectionCount === 0);
    const second = bench();
    const broken = await second.open();
    const end = new Promise((resolve) => {
      broken.receive({ onBytes() {}, onEnd: () => resolve('end'), onError: resolve });
    });
    second.pool[Symbol.dispose]();
    t.match(await end, { code: 'DATAPLANE_CHANNEL' });
    second[Symbol.dispose]();
  }),
);

t.test('pool: keepalive finds a silent peer, and a live one answers', (t) =>
  withBench(t, { settings: { pingIntervalMs: 20, pingTimeoutMs: 2_000 } }, async (b) => {
    const stream = await b.open();
    await sleep(120);
    t.equal(b.pool.connectionCount, 1, 'answers keep it');
    await finish(stream);
  }),
);
