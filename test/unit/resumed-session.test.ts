import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer, connect as connectTcp } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import t from 'tap';
import { createFileCa, loadFileCa } from '../../dataplane/identity/file-ca.ts';
import { dissect } from '../../lab/facts/dissect/dissect.ts';
import { describeAllTls } from '../../lab/facts/tls-facts.ts';
import { A, B, captureOf, down, HANDSHAKE, type Segment, up } from './support/tcp-frames.ts';

const CLIENT = { trustDomain: 'cluster.local', namespace: 'demo', serviceAccount: 'client' };
const SERVER = { trustDomain: 'cluster.local', namespace: 'demo', serviceAccount: 'server' };

/** Bytes as they went, by who sent them. */
type Spoken = readonly (readonly [from: 'client' | 'server', data: string])[];

/** Segments of one connection, whose client has its own port. */
function segmentsOf(spoken: Spoken, port: number): readonly Segment[] {
  let [sent, answered] = [101, 501];
  const frames = spoken.map(([from, data]) => {
    const frame = from === 'client' ? up(sent, data) : down(answered, data);
    if (from === 'client') sent += data.length;
    else answered += data.length;
    return frame;
  });
  const own = A.replace(/\d+$/, String(port));
  const named = (end: string): string => (end === A ? own : B);
  return [...HANDSHAKE, ...frames].map((each) => ({
    ...each,
    from: named(each.from),
    to: named(each.to),
    // Equal numbers would make one conversation of all that differ in their ports.
    sequence: each.sequence + port * 1000,
    acknowledgement: (each.acknowledgement ?? 0) + port * 1000,
  }));
}

t.test('describeAllTls() knows the ends of a resumed session by the one before', async (t) => {
  const ca = loadFileCa(createFileCa({ dir: t.testdir() }));
  const of = async (identity: typeof CLIENT) => {
    const { credentials } = await ca.fetchCertificate(identity);
    const { key, certificateChain: cert, roots } = credentials;
    return { key, cert, ca: roots };
  };
  const keyLog: string[] = [];
  const options = { requestCert: true, minVersion: 'TLSv1.3', sessionIdContext: 'x' } as const;
  const server = createServer({ ...(await of(SERVER)), ...options });
  server.on('secureConnection', (socket: TLSSocket) => socket.end('hello'));
  server.on('keylog', (line: Buffer) => keyLog.push(line.toString()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const spoken: (readonly ['client' | 'server', string])[][] = [];
  const relay = createTcpServer((near) => {
    const said: (readonly ['client' | 'server', string])[] = [];
    spoken.push(said);
    const far = connectTcp((server.address() as AddressInfo).port, '127.0.0.1');
    near.on('data', (data: Buffer) => said.push(['client', data.toString('latin1')]));
    far.on('data', (data: Buffer) => said.push(['server', data.toString('latin1')]));
    near.pipe(far).pipe(near);
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
  }).listen(0, '127.0.0.1');
  await once(relay, 'listening');
  t.teardown(() => {
    server.close();
    relay.close();
  });

  const own = await of(CLIENT);
  let session: Buffer | undefined;
  for (let made = 0; made < 3; made++) {
    const { port } = relay.address() as AddressInfo;
    // The first two resume nothing, respectively the first; the third begins anew.
    const resuming = made === 1 && session !== undefined ? { session } : {};
    const checkServerIdentity = (): undefined => undefined;
    const socket = connect({ ...own, port, host: '127.0.0.1', ...resuming, checkServerIdentity });
    socket.on('session', (given: Buffer) => (session ??= given));
    await once(socket, 'secureConnect');
    t.equal(socket.isSessionReused(), made === 1, 'control: only the second is resumed');
    socket.resume();
    await once(socket, 'close');
  }

  const files = spoken.map((said, n) =>
    captureOf(segmentsOf(said, 40_000 + n), `node1/eth${n}`, 1_000_000n * BigInt(n + 1)),
  );
  const described = (these: readonly Buffer[]) =>
    describeAllTls(dissect(these, keyLog.join('')).conversations, () => undefined);
  const [first, resumed, anew] = described(files);
  const ends = {
    clientIdentity: 'spiffe://cluster.local/ns/demo/sa/client',
    serverIdentity: 'spiffe://cluster.local/ns/demo/sa/server',
  };
  t.match(first, { state: 'decrypted', ...ends });
  t.equal(first?.isResumed, undefined);
  t.match(resumed, { state: 'decrypted', isResumed: true, ...ends });
  t.match(anew, { state: 'decrypted', ...ends });
  t.equal(anew?.isResumed, undefined);
  const [alone] = described(files.slice(1, 2));
  t.match(alone, { state: 'decrypted', isResumed: true });
  t.equal(alone?.clientIdentity, undefined, 'and without the one before it does not');
});
