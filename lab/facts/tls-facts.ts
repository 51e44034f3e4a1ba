import type {
  Conversation,
  Http2Frame,
  Http2Stream,
  SecretState,
  TlsSession,
} from './dissect/types.ts';
import type { ConnectStream, TlsFacts } from './facts.ts';

/** Unix nanoseconds of the frame that holds this byte of what the client sent. */
export type TimeOf = (conversation: Conversation, position: number) => bigint | undefined;

/**
 * What decryption of a conversation gave, `undefined` for one that is neither TLS nor HTTP/2. HTTP/2
 * in clear text counts only when it carries a CONNECT: then it is a tunnel without TLS.
 */
function describeTls(conversation: Conversation, timeOf: TimeOf): TlsFacts | undefined {
  const { tls, http2 } = conversation;
  const streams = (http2?.streams ?? [])
    .filter((each) => each.request !== undefined)
    .map((each) => describeStream(conversation, each, timeOf));
  if (tls === undefined) {
    if (!streams.some(({ method }) => method === 'CONNECT')) return undefined;
    return { state: 'cleartext', protocol: 'h2', streams };
  }
  const { state, reason } = stateOf(tls);
  const clientIdentity = tls.client.certificates[0]?.spiffeIds[0];
  const serverIdentity = tls.server.certificates[0]?.spiffeIds[0];
  return {
    state,
    ...(tls.version !== undefined && { version: tls.version }),
    ...(tls.cipherSuite !== undefined && { cipher: tls.cipherSuite }),
    ...(tls.alpn !== undefined && { alpn: tls.alpn }),
    ...(tls.serverName !== undefined && { sni: tls.serverName }),
    ...(clientIdentity !== undefined && { clientIdentity }),
    ...(serverIdentity !== undefined && { serverIdentity }),
    ...(state === 'decrypted' && { protocol: http2 === undefined ? 'other' : 'h2' }),
    streams,
    ...(reason !== undefined && { reason }),
  };
}

/**
 * What decryption gave of all conversations. A resumed session shows no certificate: who its ends
 * are, the session says that gave out its ticket, where that was recorded and decrypted.
 */
export function describeAllTls(
  conversations: readonly Conversation[],
  timeOf: TimeOf,
): readonly (TlsFacts | undefined)[] {
  const described = conversations.map((each) => describeTls(each, timeOf));
  const origins = new Map<string, number>();
  for (const [index, { tls }] of conversations.entries()) {
    for (const ticket of tls?.server.tickets ?? []) origins.set(ticket, index);
  }
  const originOf = (index: number): number => {
    const seen = new Set<number>();
    let at = index;
    for (;;) {
      const next = origins.get(conversations[at]?.tls?.resumedTicket ?? '');
      if (next === undefined || seen.has(next)) return at;
      seen.add(next);
      at = next;
    }
  };
  return described.map((facts, index) => {
    if (facts === undefined || conversations[index]?.tls?.resumedTicket === undefined) return facts;
    const { clientIdentity, serverIdentity } = described[originOf(index)] ?? {};
    return {
      ...facts,
      isResumed: true,
      ...(clientIdentity !== undefined && { clientIdentity }),
      ...(serverIdentity !== undefined && { serverIdentity }),
    };
  });
}

/** The worse of both directions: a tunnel of which one way is unread is not read. */
function stateOf({ client, server }: TlsSession): Pick<TlsFacts, 'state' | 'reason'> {
  const sides = [
    { side: 'client', secrets: client.secrets },
    { side: 'server', secrets: server.secrets },
  ] as const;
  for (const kind of ['wrong', 'missing', 'unsupported', 'unread'] as const) {
    const found = sides.find(({ secrets }) => secrets.kind === kind);
    if (found !== undefined) return lackingState(found.side, found.secrets);
  }
  return { state: 'decrypted' };
}

function lackingState(side: string, secrets: SecretState): Pick<TlsFacts, 'state' | 'reason'> {
  switch (secrets.kind) {
    case 'wrong':
      return { state: 'wrong-keys', reason: `${secrets.label} in the key log does not fit` };
    case 'missing':
      return { state: 'no-keys', reason: `no ${secrets.label} in the key log` };
    case 'unsupported':
      return { state: 'incomplete', reason: `cannot decrypt ${secrets.what}` };
    case 'unread':
      return { state: 'incomplete', reason: `bytes of the ${side} are missing in the capture` };
    case 'decrypted':
    case 'none-needed':
      return { state: 'decrypted' };
  }
}

function describeStream(
  conversation: Conversation,
  stream: Http2Stream,
  timeOf: TimeOf,
): ConnectStream {
  const { request } = stream;
  const forwardedFor = forwardedForOf(headerOf(request, 'forwarded'));
  const traceparent = headerOf(request, 'traceparent');
  const resetCode = stream.server.resetCode ?? stream.client.resetCode;
  const started = request && timeOf(conversation, request.start);
  return {
    stream: stream.id,
    ...(stream.method !== undefined && { method: stream.method }),
    ...(stream.authority !== undefined && { authority: stream.authority }),
    ...(forwardedFor !== undefined && { forwardedFor }),
    ...(traceparent !== undefined && { traceparent }),
    ...(stream.status !== undefined && { status: stream.status }),
    bytesSent: stream.client.dataBytes,
    bytesReceived: stream.server.dataBytes,
    startedNs: String(started ?? conversation.best.firstNs),
    ...(request && { position: request.start }),
    ...(resetCode !== undefined && { resetCode }),
  };
}

function headerOf(frame: Http2Frame | undefined, name: string): string | undefined {
  return frame?.headers?.find(([each]) => each === name)?.[1];
}

/** Address in `for="10.0.0.1:80";host=…` (facts: ztunnel §2.3), without its quotes. */
export function forwardedForOf(header: string | undefined): string | undefined {
  const match = /(?:^|;)\s*for="?([^";]+)"?/.exec(header ?? '');
  return match?.[1];
}
