import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Http2Stream } from '../../dataplane/hbone/http2-stream.ts';
import { createDataPath } from '../../dataplane/hbone/data-path.ts';
import { FRAME_FLAG, FRAME_TYPE, encodeFrame, encodeSettings } from '../../dataplane/wire/http2.ts';
import {
  CLIENT,
  startApp,
  startHboneServer,
  startPair,
  type Pair,
  type PairOptions,
} from '../fixtures/hbone/pair.ts';
import { dialRaw, type RawPeer } from '../fixtures/hbone/raw-peer.ts';
import { seededRandom } from '../../lab/bench/statistics.ts';

const MEGABYTE = 1_000_000;
/** More than a relay copies before it splices. */
const WARM_UP_MESSAGES = 10;

async function until(claim: () => boolean, ms = 20_000): Promise<void> {
  for (const end = Date.now() + ms; !claim() && Date.now() < end;) await sleep(5);
  if (!claim()) throw new Error(`not so after ${ms} ms: ${claim.toString()}`);
}

async function withApp(
  onSocket: (socket: Socket) => void,
  body: (pair: Pair) => Promise<void>,
  options: PairOptions = {},
): Promise<void> {
  const app = await startApp(onSocket);
  const pair = await startPair(app.port, options);
  try {
    await body(pair);
  } finally {
    await pair[Symbol.asyncDispose]();
    app.server.close();
  }
}

const echo = (socket: Socket): void => void socket.pipe(socket);

/** A client that sends a message and waits until as many bytes came back. */
class Client {
  readonly socket: Socket;
  readonly sent = createHash('sha256');
  readonly got = createHash('sha256');
  bytes = 0;
  #wished = 0;
  #received = 0;
  #wake: (() => void) | undefined;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.socket.on('error', () => undefined);
    this.socket.on('data', (part: Buffer) => {
      this.got.update(part);
      this.#received += part.length;
      if (this.#received >= this.#wished) this.#wake?.();
    });
  }

  async ask(message: Buffer): Promise<void> {
    this.sent.update(message);
    this.bytes += message.length;
    this.#wished += message.length;
    const answered = new Promise<void>((resolve) => (this.#wake = resolve));
    this.socket.write(message);
    await answered;
  }

  async end(): Promise<boolean> {
    const ended = once(this.socket, 'end');
    this.socket.end();
    await ended;
    return this.got.digest('hex') === this.sent.digest('hex');
  }
}

/** Counts how often a stream is told of content from now on. */
function countTold(stream: Http2Stream): () => number {
  let told = 0;
  const tell = stream.onContent.bind(stream);
  stream.onContent = (offset, length) => {
    told++;
    tell(offset, length);
  };
  return () => told;
}

t.test('relay() passes an established stream on without telling, and counts it', async (t) => {
  await withApp(echo, async (pair) => {
    const client = new Client(pair.outboundPort);
    await client.ask(randomBytes(20));
    const told = countTold(pair.hbone.streams[0] as unknown as Http2Stream);
    for (let i = 0; i < WARM_UP_MESSAGES; i++) await client.ask(randomBytes(20));
    const atFirst = told();
    t.ok(atFirst > 0, 'before it is established it is told');
    for (let i = 0; i < 200; i++) await client.ask(randomBytes(1 + ((i * 37) % 3_000)));
    // A frame beside one that must be told, a PING for example, is told with it.
    t.ok(told() < atFirst + 10, 'afterwards it is not');
    t.ok(await client.end(), 'all came back');
    await until(() => pair.relays.length === 1 && pair.hbone.relays.length === 1);
    const { bytes } = client;
    t.match(pair.relays[0], { bytesAToB: bytes, bytesBToA: bytes, error: undefined });
    t.match(pair.hbone.relays[0], { bytesAToB: bytes, bytesBToA: bytes, error: undefined });
  });
});

t.test('spliced streams go on beyond the windows of stream and connection', async (t) => {
  const windows = { streamWindowBytes: 4 << 20, connectionWindowBytes: 5 << 20 };
  const options = { accept: { settings: windows }, pool: { settings: windows } };
  await withApp(
    echo,
    async (pair) => {
      const clients = [1, 2].map(() => new Client(pair.outboundPort));
      await Promise.all(
        clients.map(async (client) => {
          for (let i = 0; i < 800; i++) await client.ask(randomBytes(8_000));
        }),
      );
      for (const client of clients) t.ok(await client.end(), '6.4 MB came back');
    },
    options,
  );
});

t.test('a spliced app that does not read holds its client back, and loses nothing', async (t) => {
  const sockets: Socket[] = [];
  await withApp(
    (socket) => {
      sockets.push(socket);
      echo(socket);
    },
    async (pair) => {
      const client = new Client(pair.outboundPort);
      for (let i = 0; i < WARM_UP_MESSAGES; i++) await client.ask(randomBytes(100));
      sockets[0]!.unpipe();
      sockets[0]!.pause();
      let sentBytes = 0;
      const part = Buffer.alloc(4_000, 7);
      const { socket } = client;
      const push = (): void => {
        while (sentBytes < 100 * MEGABYTE) {
          sentBytes += part.length;
          if (!socket.write(part)) return;
        }
      };
      socket.on('drain', push);
      push();
      let before = -1;
      await until(() => {
        const isStill = before === socket.bytesWritten - socket.writableLength;
        before = socket.bytesWritten - socket.writableLength;
        return isStill && before > 0;
      });
      await sleep(500);
      t.ok(socket.bytesWritten < 60 * MEGABYTE, `${socket.bytesWritten} bytes on the way`);
      socket.off('drain', push);
      let got = 0;
      sockets[0]!.on('data', (bytes: Buffer) => (got += bytes.length));
      socket.end();
      sockets[0]!.resume();
      await once(sockets[0]!, 'end');
      t.equal(got, sentBytes, 'all of it arrived');
      sockets[0]!.end();
    },
  );
});

t.test('what a slow client has not taken when the app ends still arrives', async (t) => {
  const sockets: Socket[] = [];
  await withApp(
    (socket) => {
      sockets.push(socket);
      echo(socket);
    },
    async (pair) => {
      const client = new Client(pair.outboundPort);
      for (let i = 0; i < WARM_UP_MESSAGES; i++) await client.ask(randomBytes(100));
      client.socket.pause();
      sockets[0]!.unpipe();
      let sentBytes = WARM_UP_MESSAGES * 100;
      for (let i = 0; i < 800; i++) {
        sentBytes += 9_000;
        if (!sockets[0]!.write(Buffer.alloc(9_000, i))) await sleep(0);
      }
      sockets[0]!.end();
      client.socket.end();
      await sleep(200);
      let got = WARM_UP_MESSAGES * 100;
      client.socket.on('data', (bytes: Buffer) => (got += bytes.length));
      const ended = once(client.socket, 'end');
      client.socket.resume();
      await ended;
      t.equal(got, sentBytes);
    },
  );
});

t.test('keys change under spliced streams as often as they must', async (t) => {
  const limits = { clientPath: { recordLimit: 20 }, serverPath: { recordLimit: 20 } };
  await withApp(
    echo,
    async (pair) => {
      const client = new Client(pair.outboundPort);
      for (let i = 0; i < 1_500; i++) await client.ask(randomBytes(50));
      t.ok(await client.end(), '75 changes of key, with data between them that nobody was told of');
      t.equal(pair.hbone.opened, 1, 'on one connection');
    },
    limits,
  );
});

t.test('a spliced app that resets ends its relay alone', async (t) => {
  const sockets: Socket[] = [];
  await withApp(
    (socket) => {
      sockets.push(socket);
      echo(socket);
    },
    async (pair) => {
      const clients: Client[] = [];
      for (let n = 0; n < 2; n++) {
        const client = new Client(pair.outboundPort);
        for (let i = 0; i < WARM_UP_MESSAGES; i++) await client.ask(randomBytes(100));
        clients.push(client);
      }
      const closed = once(clients[0]!.socket, 'end');
      sockets[0]!.resetAndDestroy();
      // Bytes on their way to a socket that is gone.
      for (let i = 0; i < 20; i++) clients[0]!.socket.write(randomBytes(100));
      await closed;
      clients[0]!.socket.destroy();
      for (let i = 0; i < WARM_UP_MESSAGES; i++) await clients[1]!.ask(randomBytes(100));
      t.ok(await clients[1]!.end(), 'the other goes on');
      await until(() => pair.relays.length === 2 && pair.hbone.relays.length === 2);
      // A listener each, and the connection between them.
      t.same([pair.client.openDescriptors, pair.server.openDescriptors], [2, 2]);
    },
  );
});

t.test('streams of any size and pace, spliced or not, arrive as they were sent', async (t) => {
  const seed = Number(process.env['SPLICE_SEED'] ?? 20_261_121);
  const random = seededRandom(seed);
  await withApp(echo, async (pair) => {
    const clients = Array.from({ length: 12 }, () => new Client(pair.outboundPort));
    const run = async (client: Client): Promise<boolean> => {
      const messages = Math.floor(random() * 60);
      for (let i = 0; i < messages; i++) {
        const bytes = 1 + Math.floor(random() ** 4 * (random() < 0.1 ? 900_000 : 20_000));
        const asked = client.ask(randomBytes(bytes));
        if (random() < 0.7) await asked;
        if (random() < 0.2) await sleep(random() * 3);
      }
      return client.end();
    };
    const arrived = await Promise.all(clients.map(run));
    t.same(new Set(arrived), new Set([true]), `seed ${seed}`);
    await until(() => pair.relays.length === clients.length);
    t.equal(pair.relays.filter(({ error }) => error !== undefined).length, 0);
  });
});

/** Bytes of DATA that came back on a stream. */
function echoed(peer: RawPeer, streamId: number): Buffer {
  const isMine = (frame: (typeof peer.frames)[number]): boolean =>
    frame.type === FRAME_TYPE.data && frame.streamId === streamId;
  return Buffer.concat(peer.frames.filter(isMine).map(({ payload }) => payload));
}

/** A frame of content, padded now and then, or one that says nothing of a stream's content. */
function anyFrame(random: () => number, streamId: number, content: Buffer[]): Buffer {
  const kind = random();
  if (kind < 0.05) return encodeFrame(FRAME_TYPE.ping, 0, 0, randomBytes(8));
  if (kind < 0.1) return encodeFrame(0x20, 0xff, streamId, randomBytes(20));
  if (kind < 0.15) return encodeFrame(FRAME_TYPE.data, 0, streamId, Buffer.alloc(0));
  if (kind < 0.2) {
    return encodeFrame(FRAME_TYPE.windowUpdate, 0, streamId, Buffer.from([0, 0, 0, 1]));
  }
  const bytes = randomBytes(1 + Math.floor(random() ** 3 * 9_000));
  content.push(bytes);
  if (kind > 0.3) return encodeFrame(FRAME_TYPE.data, 0, streamId, bytes);
  const padding = Math.floor(random() * 50);
  const padded = Buffer.concat([Buffer.from([padding]), bytes, Buffer.alloc(padding)]);
  return encodeFrame(FRAME_TYPE.data, FRAME_FLAG.padded, streamId, padded);
}

t.test('frames of a foreign client, mixed and cut anyhow, reach the app in order', async (t) => {
  const app = await startApp(echo);
  const path = createDataPath();
  const server = startHboneServer(path);
  const peer = await dialRaw(server.port, CLIENT);
  const random = seededRandom(Number(process.env['SPLICE_SEED'] ?? 1));
  peer.greet(true);
  // Windows wide enough that the way back is spliced, too.
  peer.socket.write(encodeSettings([[4, 8 << 20]]));
  peer.send(FRAME_TYPE.windowUpdate, 0, 0, Buffer.from([0, 0xff, 0, 0]));
  const streams = [1, 3, 5].map((streamId) => ({ streamId, content: [] as Buffer[] }));
  for (const { streamId } of streams) {
    peer.sendHeaders(streamId, [
      [':method', 'CONNECT'],
      [':authority', `127.0.0.1:${app.port}`],
    ]);
    await peer.expect((f) => f.type === FRAME_TYPE.headers && f.streamId === streamId);
  }
  for (let round = 0; round < 150; round++) {
    const frames = Array.from({ length: 1 + Math.floor(random() * 6) }, () => {
      const { streamId, content } = streams[Math.floor(random() * streams.length)]!;
      return anyFrame(random, streamId, content);
    });
    const bytes = Buffer.concat(frames);
    // One record a write: frames stand alone in it, beside others, or across two.
    const cut = random() < 0.5 ? bytes.length : Math.floor(random() * bytes.length);
    peer.socket.write(bytes.subarray(0, cut));
    if (random() < 0.6) await sleep(0);
    peer.socket.write(bytes.subarray(cut));
    if (random() < 0.6) await sleep(1);
  }
  for (const { streamId } of streams) peer.send(FRAME_TYPE.data, FRAME_FLAG.endStream, streamId);
  for (const { streamId, content } of streams) {
    const isEnd = (f: (typeof peer.frames)[number]): boolean =>
      f.streamId === streamId && (f.flags & FRAME_FLAG.endStream) !== 0;
    await peer.expect((f) => f.type === FRAME_TYPE.data && isEnd(f), 20_000);
    t.ok(echoed(peer, streamId).equals(Buffer.concat(content)), `stream ${streamId}`);
  }
  peer.socket.destroy();
  path[Symbol.dispose]();
  app.server.close();
});
