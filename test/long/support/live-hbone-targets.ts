import { ok } from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { HboneServerStream, HboneStream } from '../../../dataplane/hbone/api.ts';
import { createDataPath } from '../../../dataplane/hbone/data-path.ts';
import {
  ChannelError,
  HboneClosedError,
  Http2Error,
  HttpStatusError,
  PeerIdentityError,
  TcpConnectError,
  TlsHandshakeError,
  TlsRecordError,
} from '../../../dataplane/hbone/errors.ts';
import { HpackDecoder } from '../../../dataplane/wire/hpack.ts';
import { FRAME_HEADER_BYTES, FRAME_TYPE, HTTP2_CODE } from '../../../dataplane/wire/http2.ts';
import { FrameReader } from '../../../dataplane/wire/http2-reader.ts';
import {
  CLIENT,
  SERVER,
  keyTo,
  makePool,
  socketFd,
  startApp,
  startHboneServer,
} from '../../fixtures/hbone/pair.ts';
import { dialRaw, listenRaw, type RawPeer } from '../../fixtures/hbone/raw-peer.ts';
import type { FuzzTarget, FuzzTargets } from './campaign.ts';
import { clientStreams, mutateFrames, serverStreams } from './mutate-frames.ts';
import { mutateBytes } from './mutate.ts';
import type { Random } from './random.ts';

/** Errors of the data path, with their codes. */
const PROMISED = [
  [ChannelError, 'DATAPLANE_CHANNEL'],
  [HboneClosedError, 'DATAPLANE_CONNECTION_CLOSED'],
  [Http2Error, 'DATAPLANE_HTTP2'],
  [HttpStatusError, 'DATAPLANE_HTTP_STATUS'],
  [PeerIdentityError, 'DATAPLANE_PEER_IDENTITY'],
  [TcpConnectError, 'DATAPLANE_TCP_CONNECT'],
  [TlsHandshakeError, 'DATAPLANE_TLS_HANDSHAKE'],
  [TlsRecordError, 'DATAPLANE_TLS_RECORD'],
] as const;

/** A peer that sends and leaves: what our side still holds after that long is never let go. */
const SETTLE_MS = 5_000;

function isDataPathError(error: unknown): boolean {
  return PROMISED.some(([kind, code]) => error instanceof kind && error.code === code);
}

interface LiveInput {
  /** What the bytes are: frames inside TLS, TLS records after the handshake, a first flight. */
  readonly kind: 'frames' | 'records' | 'hello';
  readonly bytes: Buffer;
  /** Sizes of the pieces that are written. */
  readonly pieces: readonly number[];
}

function liveInput(kind: LiveInput['kind'], bytes: Buffer, random?: Random): LiveInput {
  const pieces = random?.once(3) ? Array.from({ length: 12 }, () => 1 + random.below(60)) : [];
  return { kind, bytes, pieces };
}

function writePieces(socket: Socket | TLSSocket, { bytes, pieces }: LiveInput): void {
  let at = 0;
  for (const size of pieces) {
    if (at < bytes.length) socket.write(bytes.subarray(at, at + size));
    at += size;
  }
  if (at < bytes.length) socket.write(bytes.subarray(at));
}

/** Application data, handshake messages, alerts and change_cipher_spec as nobody sealed them. */
const RECORDS = [
  Buffer.from(`1703030020${'5a'.repeat(32)}`, 'hex'),
  Buffer.from(`15030300020100`, 'hex'),
  Buffer.from(`140303000101`, 'hex'),
  Buffer.from(`16030300051800000100`, 'hex'),
  Buffer.concat([Buffer.from('1703034000', 'hex'), Buffer.alloc(16_384, 7)]),
];
const RECORD_WORDS = [
  '1703034101',
  '170303ffff',
  '1703030000',
  '1703010011',
  '80',
  '1503030000',
].map((hex) => Buffer.from(hex, 'hex'));

const mutateRecords = (random: Random): Buffer =>
  mutateBytes(random, RECORDS, { dictionary: RECORD_WORDS });

/** The first flight of a TLS client, as OpenSSL sends it. */
async function clientHello(): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const client = connectTls({ port, host: '127.0.0.1', ALPNProtocols: ['h2'] });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

/** Faults that no promise covers, seen where nobody waits for them. */
class Strays {
  readonly #errors: Error[] = [];

  readonly see = (error: unknown): void => {
    if (error !== undefined && !isDataPathError(error)) this.add(error);
  };

  readonly add = (error: unknown): void => {
    this.#errors.push(error instanceof Error ? error : new Error(String(error)));
  };

  throwFirst(): void {
    const error = this.#errors.shift();
    if (error !== undefined) throw error;
  }
}

/** Reads what our side sends: well-formed frames and header blocks, whatever it was fed. */
class AnswerReader {
  goawayCode: number | undefined;
  #error: unknown;
  readonly #decoder = new HpackDecoder();
  readonly #reader = new FrameReader((header, payload) => {
    if (header.type === FRAME_TYPE.headers) this.#decoder.decode(Buffer.from(payload));
    if (header.type === FRAME_TYPE.goaway) this.goawayCode = payload.readUInt32BE(4);
  });

  push(bytes: Buffer): void {
    try {
      this.#reader.push(bytes);
    } catch (error) {
      this.#error ??= error;
    }
  }

  assertWellFormed(): void {
    if (this.#error !== undefined) {
      throw new Error('What our side sends cannot be read', { cause: this.#error });
    }
  }
}

/** A live HBONE server: its clients are whoever may connect to a pod. */
async function hboneServer(): Promise<FuzzTarget<LiveInput>> {
  const strays = new Strays();
  const app = await startApp((socket) => void socket.pipe(socket));
  const path = createDataPath({ onCallbackError: strays.add });
  const relayToApp = async (stream: HboneServerStream): Promise<void> => {
    // Only to our own application: the fuzzed authority may name anybody's port.
    const upstream = await path.connect(socketFd(), { ip: '127.0.0.1', port: app.port });
    stream.respond(200);
    strays.see((await path.relay(stream, upstream)).error);
  };
  const server = startHboneServer(path, {
    onStream: (stream) => void relayToApp(stream).catch(strays.see),
  });
  const idleDescriptors = path.openDescriptors;
  const hello = await clientHello();
  const seeds = clientStreams();
  const feed = async (input: LiveInput): Promise<boolean> => {
    const code = await talkToServer(server.port, input, strays);
    await settled(() => path.openDescriptors === idleDescriptors, 'descriptors are given back');
    for (const made of server.connections.splice(0)) strays.see(await made.closed);
    server.refusals.splice(0).forEach(strays.see);
    server.streams.length = 0;
    strays.throwFirst();
    return code === 'fine';
  };
  return {
    name: 'live HBONE server',
    seeds: seeds.slice(0, 1).map((bytes) => liveInput('frames', bytes)),
    mutate: (random) => {
      const kind = random.below(8);
      if (kind === 0) return liveInput('hello', mutateBytes(random, [hello]), random);
      if (kind === 1) return liveInput('records', mutateRecords(random), random);
      return liveInput('frames', mutateFrames(random, seeds), random);
    },
    feed,
    isPromised: () => false,
    limitMs: SETTLE_MS,
    finish: async () => {
      await assertServes(server.port, app.port);
      path[Symbol.dispose]();
      app.server.close();
    },
  };
}

/** Sends one input and leaves; says whether the server took it as a connection in order. */
async function talkToServer(
  port: number,
  input: LiveInput,
  strays: Strays,
): Promise<'fine' | 'refused'> {
  const raw = connectTcp({ port, host: '127.0.0.1' });
  raw.on('error', () => undefined);
  const closed = new Promise((resolve) => raw.once('close', resolve));
  if (input.kind === 'hello') {
    writePieces(raw, input);
    raw.resume();
    raw.end();
    await deadline(closed, 'the server closes after a first flight that ends', raw);
    return 'refused';
  }
  const answers = new AnswerReader();
  const socket = connectTls({
    socket: raw,
    key: CLIENT.key,
    cert: CLIENT.certificateChain,
    ca: CLIENT.roots,
    ALPNProtocols: ['h2'],
    minVersion: 'TLSv1.3',
    checkServerIdentity: () => undefined,
  });
  let tlsError: Error | undefined;
  socket.on('error', (error) => (tlsError ??= error));
  socket.on('data', (bytes: Buffer) => answers.push(bytes));
  await deadline(once(socket, 'secureConnect'), 'the handshake ends', raw);
  if (input.kind === 'records') {
    writePieces(raw, input);
    raw.end();
  } else {
    writePieces(socket, input);
    socket.end();
  }
  await deadline(closed, 'the server closes a connection that its client left', raw);
  if (input.kind === 'frames') answers.assertWellFormed();
  strays.throwFirst();
  const isInOrder = answers.goawayCode === undefined || answers.goawayCode === HTTP2_CODE.noError;
  return isInOrder && tlsError === undefined && input.kind === 'frames' ? 'fine' : 'refused';
}

async function assertServes(port: number, appPort: number): Promise<void> {
  const peer = await dialRaw(port, CLIENT);
  peer.greet(true);
  peer.sendHeaders(1, [
    [':method', 'CONNECT'],
    [':authority', `127.0.0.1:${appPort}`],
  ]);
  peer.send(FRAME_TYPE.data, 0, 1, Buffer.from('still here'));
  const data = await peer.expect((frame) => frame.type === FRAME_TYPE.data);
  peer.socket.destroy();
  ok(String(data.payload) === 'still here', 'an honest client is served after all that');
}

/** A live HBONE client: its server is whoever answers at an address of the mesh. */
async function hboneClient(): Promise<FuzzTarget<LiveInput>> {
  const strays = new Strays();
  let input: LiveInput = liveInput('frames', Buffer.alloc(0));
  const peers: RawPeer[] = [];
  const { server, port } = await listenRaw(SERVER, (peer) => {
    peers.push(peer);
    void answerClient(peer, input);
  });
  const path = createDataPath({ onCallbackError: strays.add });
  const pool = makePool(path, { handshakeTimeoutMs: 2_000 });
  const idleDescriptors = path.openDescriptors;
  const seeds = serverStreams();
  const feed = async (next: LiveInput): Promise<boolean> => {
    input = next;
    const outcome = await talkAsClient(pool.connect(keyTo(port), CONNECT), strays);
    peers.splice(0).forEach((peer) => peer.socket.destroy());
    await settled(() => path.openDescriptors === idleDescriptors, 'descriptors are given back');
    ok(pool.connectionCount === 0, 'the pool keeps no connection that is gone');
    strays.throwFirst();
    if (outcome !== undefined && !isDataPathError(outcome)) throw outcome as Error;
    return outcome === undefined;
  };
  return {
    name: 'live HBONE client',
    seeds: seeds.slice(0, 1).map((bytes) => liveInput('frames', bytes)),
    mutate: (random) =>
      random.once(8)
        ? liveInput('records', mutateRecords(random), random)
        : liveInput('frames', mutateFrames(random, seeds), random),
    feed,
    isPromised: () => false,
    limitMs: SETTLE_MS,
    finish: () => {
      pool[Symbol.dispose]();
      path[Symbol.dispose]();
      server.close();
    },
  };
}

const CONNECT = { authority: '10.77.0.2:8080', headers: [] };

/** The first frame at once, the rest when the client has asked, then the end. */
async function answerClient(peer: RawPeer, input: LiveInput): Promise<void> {
  if (input.kind === 'records') {
    peer.greet(false);
    const { _parent: raw } = peer.socket as unknown as { readonly _parent?: Socket };
    writePieces(raw ?? peer.socket, input);
    peer.socket.end();
    return;
  }
  const { bytes } = input;
  const first = bytes.length < 3 ? bytes.length : FRAME_HEADER_BYTES + bytes.readUIntBE(0, 3);
  peer.socket.write(bytes.subarray(0, first));
  const hasAsked = (frame: { readonly type: number }): boolean => frame.type === FRAME_TYPE.headers;
  await peer.expect(hasAsked, 100).catch(() => undefined);
  writePieces(peer.socket, { ...input, bytes: bytes.subarray(first) });
  peer.socket.end();
}

/** The error that ended the attempt or the stream; undefined when the peer only left. */
async function talkAsClient(connecting: Promise<HboneStream>, strays: Strays): Promise<unknown> {
  let stream: HboneStream;
  try {
    stream = await deadline(connecting, 'an attempt to connect ends');
  } catch (error) {
    return error;
  }
  stream.write(Buffer.from('a request'));
  const end = new Promise<unknown>((resolve) => {
    stream.receive({ onBytes() {}, onEnd: () => resolve(undefined), onError: resolve });
  });
  const error = await deadline(end, 'a stream ends with its connection');
  strays.see(error);
  return error instanceof ChannelError && error.osCode === 'EOF' ? undefined : error;
}

async function settled(claim: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + SETTLE_MS; !claim();) {
    if (performance.now() > end) throw new Error(`Not so after ${SETTLE_MS} ms: ${what}`);
    await sleep(1);
  }
}

/** Waits for what must come; where it does not, the socket is torn down and it is a fault. */
async function deadline<T>(wished: Promise<T>, what: string, socket?: Socket): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      socket?.destroy();
      reject(new Error(`Not so after ${SETTLE_MS} ms: ${what}`));
    }, SETTLE_MS);
  });
  try {
    return await Promise.race([wished, late]);
  } finally {
    clearTimeout(timer);
  }
}

export const TARGETS: FuzzTargets = { hboneServer, hboneClient };
