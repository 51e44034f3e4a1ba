import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
} from 'node:http2';
import { Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { openSocket } from '../../dataplane/kernel/sockets.ts';
import { loadFileCa } from '../../dataplane/identity/file-ca.ts';
import type { Pod, World } from './ztunnel-world.ts';

export interface PeerOptions {
  readonly serviceAccount?: string;
  readonly namespace?: string;
  readonly trustDomain?: string;
  readonly alpn?: readonly string[];
  readonly withoutCertificate?: boolean;
}

/** TLS to 15008 of a pod by Node's own stack, with a certificate of the test's CA. */
export async function tlsToPod(
  world: World,
  from: Pod,
  to: Pod,
  options: PeerOptions = {},
): Promise<TLSSocket> {
  const { credentials } = await loadFileCa(world.ca).fetchCertificate({
    trustDomain: options.trustDomain ?? 'cluster.local',
    namespace: options.namespace ?? 'istio-system',
    serviceAccount: options.serviceAccount ?? 'ztunnel',
  });
  const fd = openSocket({ netns: from.netns, family: 'ipv4' });
  const socket = new Socket({ fd });
  from.sockets.add(socket);
  socket.connect({ host: to.ip, port: 15008 });
  const own = options.withoutCertificate
    ? {}
    : { key: credentials.key, cert: credentials.certificateChain };
  const tls = connectTls({
    socket,
    ...own,
    ca: credentials.roots,
    ALPNProtocols: [...(options.alpn ?? ['h2'])],
    minVersion: 'TLSv1.3',
    checkServerIdentity: () => undefined,
  });
  tls.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    tls.once('secureConnect', resolve);
    tls.once('error', reject);
  });
  return tls;
}

/** An HBONE client that shares no code with ours. */
export class Http2Peer {
  readonly session: ClientHttp2Session;
  readonly tls: TLSSocket;

  private constructor(tls: TLSSocket) {
    this.tls = tls;
    this.session = connectHttp2('https://pod', { createConnection: () => tls });
    this.session.on('error', () => undefined);
  }

  static async open(world: World, from: Pod, to: Pod, options?: PeerOptions): Promise<Http2Peer> {
    const peer = new Http2Peer(await tlsToPod(world, from, to, options));
    world.onClose(() => peer.session.destroy());
    return peer;
  }

  /** Sends a request; the status and the stream. */
  async request(headers: Record<string, string>): Promise<{
    readonly status: number;
    readonly stream: ClientHttp2Stream;
    readonly baggage?: string;
  }> {
    const stream = this.session.request(headers, { endStream: false });
    stream.on('error', () => undefined);
    return new Promise((resolve, reject) => {
      stream.once('response', (response) => {
        const baggage = response['baggage'];
        resolve({
          status: Number(response[':status']),
          stream,
          ...(typeof baggage === 'string' && { baggage }),
        });
      });
      stream.once('error', reject);
      stream.once('close', () => reject(new Error(`stream closed, code ${stream.rstCode}`)));
    });
  }

  async connect(authority: string): ReturnType<Http2Peer['request']> {
    return this.request({ ':method': 'CONNECT', ':authority': authority });
  }

  /** The status of a CONNECT whose stream is given up at once. */
  async status(authority: string): Promise<number> {
    const { status, stream } = await this.connect(authority);
    stream.close();
    return status;
  }
}
