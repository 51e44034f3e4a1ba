import type { Dissection } from '../facts/dissect/dissect.ts';
import type {
  Connection,
  ConnectionHalf,
  Conversation,
  Http1Message,
  Http2Stream,
  SecretState,
  TlsHalf,
  TlsSession,
} from '../facts/dissect/types.ts';
import { type BaselineFact, PART } from './baseline.ts';
import type { LooseBlock } from './describe-capture.ts';
import { describeSeen, endpointText, framesOf, placeOf, ttlOf } from './describe-seen.ts';

/** Facts of one TCP conversation, whatever else the capture has. */
export function describeConversation(capture: Dissection, conversation: Conversation): LooseBlock {
  const { sightings, tls, http1, http2, proxyProtocol } = conversation;
  const nearest = nearestToClient(sightings);
  const frames = [{ file: placeOf(nearest.interface), frames: framesOf(nearest) }];
  const fact = (key: string, value: string): BaselineFact => ({ key, value, frames });
  return {
    name: `tcp ${nearest.client.address} -> ${endpointText(nearest.server)}`,
    facts: [
      fact('ends', endOf(nearest)),
      ...missingBytes(conversation.best).map((side) => fact('missing', `bytes of the ${side}`)),
      ...(proxyProtocol === undefined
        ? []
        : [fact('proxy protocol', `from ${proxyProtocol.source.address}`)]),
      ...(tls === undefined ? [] : describeTls(tls).map(([key, value]) => fact(key, value))),
      ...requestsOf(http1 ?? [], http2?.streams ?? []).map(([key, value]) => fact(key, value)),
      fact('seen', `on ${sightings.length} interface${sightings.length === 1 ? '' : 's'}`),
      ...describeSeen(capture, sightings, nearest),
    ],
  };
}

/** The sighting that saw the client's frames first: their TTL is highest there. */
function nearestToClient(
  sightings: readonly [Connection, ...Connection[]] | readonly Connection[],
) {
  const [first, ...others] = sightings;
  if (first === undefined) throw new RangeError('Cannot describe a conversation nobody saw');
  return others.reduce((best, each) => {
    const isNearer = ttlOf(each) - ttlOf(best) || Number(best.firstNs - each.firstNs);
    return isNearer > 0 ? each : best;
  }, first);
}

function endOf({ fromClient, fromServer }: Connection): string {
  const isBegun = fromClient.synFrames.length > 0;
  if (fromServer.frames === 0) return 'unanswered';
  const isRefused = fromServer.rstFrames.length > 0 && fromServer.synFrames.length === 0;
  if (isBegun && isRefused) return 'refused';
  const halves = [fromClient, fromServer];
  const before = isBegun ? '' : ', begun before the capture';
  if (halves.every(({ finFrames }) => finFrames.length > 0)) return `closed${before}`;
  return `${halves.some(({ rstFrames }) => rstFrames.length > 0) ? 'reset' : 'open'}${before}`;
}

function missingBytes({ fromClient, fromServer }: Connection): readonly string[] {
  const isHoled = ({ gaps }: ConnectionHalf): boolean => gaps.length > 0;
  if (isHoled(fromClient) && isHoled(fromServer)) return ['client and the server'];
  return isHoled(fromClient) ? ['client'] : isHoled(fromServer) ? ['server'] : [];
}

function describeTls(tls: TlsSession): readonly (readonly [string, string])[] {
  const { client, server, version, cipherSuite, alpn, serverName } = tls;
  const state = [version ?? 'TLS', cipherSuite, alpn, serverName && `for ${serverName}`];
  const identity = ({ certificates }: TlsHalf): string =>
    certificates[0]?.spiffeIds[0] ?? certificates[0]?.subject ?? 'no certificate';
  const alerts = [...client.alerts, ...server.alerts].filter(({ name }) => name !== 'close_notify');
  const isRead = [client, server].some(({ secrets }) => secrets.kind === 'decrypted');
  return [
    ['tls', state.filter(Boolean).join(' ')],
    ['secrets', `${secretsText(client.secrets)}, ${secretsText(server.secrets)}`],
    ...(isRead
      ? ([
          ['client', identity(client)],
          ['server', identity(server)],
        ] as const)
      : []),
    ...(alerts.length === 0
      ? []
      : ([['alerts', [...new Set(alerts.map(({ name }) => name))].sort().join(', ')]] as const)),
  ];
}

function secretsText(secrets: SecretState): string {
  switch (secrets.kind) {
    case 'missing':
    case 'wrong':
      return `${secrets.kind} ${secrets.label}`;
    case 'unsupported':
      return `cannot decrypt ${secrets.what}`;
    case 'unread':
      return 'unread because of missing bytes';
    case 'decrypted':
      return 'decrypted';
    case 'none-needed':
      return 'nothing encrypted';
  }
}

/** Requests with their answers, the same ones counted; queries are left out, they carry random text. */
function requestsOf(
  http1: readonly Http1Message[],
  streams: readonly Http2Stream[],
): readonly (readonly [string, string])[] {
  const answers = http1.filter(({ side }) => side === 'server');
  const plain = http1
    .filter(({ side }) => side === 'client')
    .map(({ method, target = '' }, index) => {
      return `${method ?? '?'} ${target.replace(/\?.*$/, '?…')} -> ${answers[index]?.status ?? 'no answer'}`;
    });
  const tunnels = streams
    .filter(({ request }) => request !== undefined)
    .map((each) => `${each.method ?? '?'} ${each.authority ?? '?'} -> ${streamEnd(each)}`);
  const counts = new Map<string, number>();
  for (const text of [...plain, ...tunnels]) counts.set(text, (counts.get(text) ?? 0) + 1);
  const requests = [...counts].map(([text, count]) =>
    count === 1 ? text : `${text} (${count} times)`,
  );
  if (requests.length === 0) return [];
  return [
    ['requests', String(plain.length + tunnels.length)],
    ...requests.map((text, index) => [`requests${PART}${index + 1}`, text] as const),
  ];
}

function streamEnd({ status, server }: Http2Stream): string {
  if (status !== undefined) return String(status);
  return server.resetCode === undefined ? 'no answer' : `reset ${server.resetCode}`;
}
