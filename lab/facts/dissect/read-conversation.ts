import { decodeDns } from '../../../dataplane/wire/dns.ts';
import { CLIENT_PREFACE } from '../../../dataplane/wire/http2.ts';
import {
  decodeProxyV2,
  isProxyV2,
  type ProxyHeader,
} from '../../../dataplane/wire/proxy-protocol.ts';
import type { KeyLog } from '../../../dataplane/wire/tls-keys.ts';
import { ByteStream, PlainStream } from './byte-stream.ts';
import { ClearConversation, ClearStreams } from './clear-conversation.ts';
import type { DnsPairs } from './dns-pairs.ts';
import { bestSighting, type Sightings } from './group-conversations.ts';
import { beginsHttp1, readHttp1 } from './http1-messages.ts';
import { readHttp2 } from './http2-connection.ts';
import { DNS_PORTS } from './interface-reader.ts';
import { beginsTls, readTls, type DescribeCertificate, type OnFault } from './tls-session.ts';
import type {
  Conversation,
  DissectFault,
  Http1Message,
  Http2Connection,
  TlsSession,
} from './types.ts';

/** How much of a preface must be there to call a connection HTTP/2. */
const PREFACE_START = CLIENT_PREFACE.subarray(0, 16);
const MAX_FAULTS = 20;

/** What the applications of both sides said: decrypted where TLS is there. */
export interface PlainStreams {
  readonly client: PlainStream;
  readonly server: PlainStream;
}

export interface ReadConversation {
  readonly conversation: Conversation;
  readonly plain: PlainStreams;
}

export interface ConversationReaders {
  readonly keyLog: KeyLog;
  readonly describeCertificate: DescribeCertificate;
  /** Where the queries of an interface go, by its name. */
  readonly dnsOf: (interfaceName: string) => DnsPairs | undefined;
}

/** First bytes of what is read further: a TLS record, `PRI` or `PROXY`, a PROXY header version 2. */
const TELLING_BYTES: ReadonlySet<number> = new Set([0x16, 0x50, 0x0d]);

/** Reads one conversation from its best sightings: of each side, the one that has most of it. */
export function readConversation(
  sightings: Sightings,
  index: number,
  readers: ConversationReaders,
): ReadConversation {
  const isTelling = sightings.some(
    ({ fromClient, server }) =>
      DNS_PORTS.has(server.port) || TELLING_BYTES.has(fromClient.firstByte),
  );
  if (isTelling) return readTelling(sightings, index, readers);
  const plain = new ClearStreams(sightings);
  return { conversation: new ClearConversation(sightings, index, plain), plain };
}

function readTelling(
  sightings: Sightings,
  index: number,
  readers: ConversationReaders,
): ReadConversation {
  const bestClient = bestSighting(sightings, ({ fromClient }) => fromClient);
  const bestServer = bestSighting(sightings, ({ fromServer }) => fromServer);
  const client = new ByteStream(bestClient.fromClient);
  const server = new ByteStream(bestServer.fromServer);
  const faults: DissectFault[] = [];
  const onFault: OnFault = (side, layer, message, at) => {
    const { segments } = side === 'client' ? client : server;
    const frame = segments.frameAt(Math.max(at.start, at.end - 1)) ?? segments.frameAt(at.start);
    if (faults.length < MAX_FAULTS) faults.push({ layer, message, frame: frame ?? 0 });
  };
  const proxy = readProxyHeader(client, onFault);
  const start = proxy?.length ?? 0;
  let tls: TlsSession | undefined;
  let plain: PlainStreams = { client: new PlainStream(), server: new PlainStream() };
  // Without the beginning nothing that follows can be told from what it is not.
  if (bestClient.hasHandshake || bestServer.hasHandshake) {
    if (beginsTls(client, start)) {
      const read = readTls(client, start, server, { ...readers, onFault });
      tls = read.session;
      plain = read;
    } else {
      plain = { client: PlainStream.ofTcp(client, start), server: PlainStream.ofTcp(server, 0) };
    }
  }
  readDns(plain, sightings, readers, onFault);
  const http2 = readHttp2If(plain, tls, onFault);
  let http1: Http1Message[] | undefined;
  return {
    conversation: {
      index,
      client: bestClient.client,
      server: bestClient.server,
      sightings,
      best: bestClient,
      proxyProtocol: proxyAddresses(proxy),
      tls,
      http2,
      /** Read when asked for: facts are not made of it, and a capture may hold very many. */
      get http1() {
        return http2 ? undefined : (http1 ??= readHttp1If(plain));
      },
      faults,
    },
    plain,
  };
}

function proxyAddresses(proxy: ProxyHeader | undefined): Conversation['proxyProtocol'] {
  if (!proxy?.source || !proxy.destination) return undefined;
  return { source: proxy.source, destination: proxy.destination };
}

function readProxyHeader(client: ByteStream, onFault: OnFault) {
  const head = client.end >= 16 ? client.read(0, Math.min(client.end, 1024)) : undefined;
  if (!head || !isProxyV2(head)) return undefined;
  try {
    return decodeProxyV2(head);
  } catch (error) {
    onFault('client', 'proxy-protocol', (error as Error).message, { start: 0, end: 16 });
    return undefined;
  }
}

function readHttp2If(
  plain: PlainStreams,
  tls: TlsSession | undefined,
  onFault: OnFault,
): Http2Connection | undefined {
  const isHttp2 =
    plain.client.head(PREFACE_START.length).equals(PREFACE_START) ||
    (tls?.alpn === 'h2' && plain.client.length + plain.server.length > 0);
  return isHttp2 ? readHttp2(plain.client, plain.server, onFault) : undefined;
}

function readHttp1If({ client, server }: PlainStreams): Http1Message[] | undefined {
  return beginsHttp1(client.head(PREFACE_START.length)) ? readHttp1(client, server) : undefined;
}

/** DNS over TCP: messages with their length before them. */
function readDns(
  plain: PlainStreams,
  [first]: Sightings,
  readers: ConversationReaders,
  onFault: OnFault,
): void {
  if (!DNS_PORTS.has(first.server.port)) return;
  const pairs = readers.dnsOf(first.interface);
  for (const side of ['client', 'server'] as const) {
    const [source, destination] =
      side === 'client' ? [first.client, first.server] : [first.server, first.client];
    const half = side === 'client' ? first.fromClient : first.fromServer;
    const { bytes } = plain[side];
    for (let at = 0; at + 2 <= bytes.length;) {
      const end = at + 2 + bytes.readUInt16BE(at);
      if (end > bytes.length) break;
      const frame = half.segments.frameAt(end - 1);
      try {
        const message = decodeDns(bytes.subarray(at + 2, end));
        pairs?.add(message, source, destination, frame ?? 0, 'tcp');
      } catch (error) {
        onFault(side, 'dns', (error as Error).message, { start: at, end });
      }
      at = end;
    }
  }
}
