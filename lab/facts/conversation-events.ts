import type {
  Connection,
  ConnectionHalf,
  Conversation,
  Http1Message,
  Http2Frame,
  Side,
  StreamRange,
  TlsSession,
} from './dissect/types.ts';
import type { LayerView } from './frame-views.ts';

/** Something a conversation said, and where in its TCP stream. */
export interface ConversationEvent {
  readonly side: Side;
  readonly at: StreamRange;
  readonly says: string;
  readonly layer: LayerView;
  /** It came inside a TLS record of application data. */
  readonly isInTls?: boolean;
}

const HTTP2_TYPES: Readonly<Record<number, string>> = {
  0: 'DATA',
  1: 'HEADERS',
  3: 'RST_STREAM',
  4: 'SETTINGS',
  6: 'PING',
  7: 'GOAWAY',
  8: 'WINDOW_UPDATE',
};
const RECORD_TYPES: Readonly<Record<number, string>> = {
  20: 'change cipher spec',
  21: 'alert',
  22: 'handshake',
  23: 'application data',
};
const SIDES = ['client', 'server'] as const;

/** Events of one kind are told this often; a bulk transfer has millions. */
const MOST_EVENTS = 64;
/** Characters of a header or first line that are told. */
const MOST_TEXT = 512;

/**
 * What a conversation said, in TLS, HTTP/2 (of the given stream and of the connection itself) and
 * HTTP/1; bounded. Handshakes are left out where the tunnel was there before.
 */
export function conversationEvents(
  conversation: Conversation,
  options: { readonly stream?: number; readonly withHandshake: boolean },
): readonly ConversationEvent[] {
  const { tls, http1 = [] } = conversation;
  return [
    ...(tls === undefined || !options.withHandshake ? [] : handshakeEvents(tls)),
    ...http2Events(conversation, options),
    ...http1.slice(0, MOST_EVENTS).map(http1Event),
  ];
}

function handshakeEvents(tls: TlsSession): readonly ConversationEvent[] {
  return SIDES.flatMap((side) => {
    const events: ConversationEvent[] = [];
    const { records } = tls[side];
    for (let index = 0; index < records.count && events.length < MOST_EVENTS; index++) {
      const record = records.at(index);
      const type = record.type ?? record.outerType;
      if (type === 23) continue;
      const what = RECORD_TYPES[type] ?? `type ${type}`;
      const isHello = index === 0 && type === 22;
      const hello = side === 'client' ? 'ClientHello' : 'ServerHello';
      const says = `TLS ${isHello ? hello : what}`;
      const isHidden = record.outerType === 23;
      events.push({
        side,
        at: record,
        says: isHidden ? `${says}, encrypted` : says,
        layer: {
          name: 'TLS record',
          fields: [
            ['on the wire', RECORD_TYPES[record.outerType] ?? String(record.outerType)],
            ...(isHidden ? ([['decrypted', what]] as const) : []),
            ...(isHello ? helloFields(tls, side) : []),
            ['length', `${record.end - record.start} B`],
          ],
        },
      });
    }
    return [...events, ...certificateEvents(tls, side)];
  });
}

function helloFields(tls: TlsSession, side: Side): LayerView['fields'] {
  const chosen = [tls.version, tls.cipherSuite].filter(Boolean).join(' · ');
  if (side === 'server') return [['chosen', chosen]];
  return [
    ...(tls.serverName === undefined ? [] : ([['SNI', clipped(tls.serverName)]] as const)),
    ['ALPN offered', clipped(tls.alpnOffered.join(', ')) || 'none'],
  ];
}

function certificateEvents(tls: TlsSession, side: Side): readonly ConversationEvent[] {
  return tls[side].certificates.slice(0, 1).map((leaf) => ({
    side,
    at: leaf.at,
    says: `certificate ${clipped(leaf.spiffeIds[0] ?? leaf.subject)}`,
    layer: {
      name: 'Certificate',
      fields: [
        ['identity', clipped(leaf.spiffeIds.join(', ')) || 'none'],
        ['issuer', clipped(leaf.issuer)],
        ['serial number', clipped(leaf.serialNumber)],
        ['valid', `${leaf.validFrom} – ${leaf.validTo}`],
      ],
    },
  }));
}

function http2Events(
  { http2, tls }: Conversation,
  { stream, withHandshake }: { readonly stream?: number; readonly withHandshake: boolean },
): readonly ConversationEvent[] {
  if (http2 === undefined) return [];
  return SIDES.flatMap((side) => {
    const events: ConversationEvent[] = [];
    for (const frame of http2[side]) {
      const isOurs = frame.streamId === stream || (withHandshake && frame.streamId === 0);
      if (!isOurs || frame.type === 8) continue;
      events.push(http2Event(side, frame, tls !== undefined));
      if (events.length >= MOST_EVENTS) break;
    }
    return events;
  });
}

function http2Event(side: Side, frame: Http2Frame, isEncrypted: boolean): ConversationEvent {
  const type = HTTP2_TYPES[frame.type] ?? `type ${frame.type}`;
  const headers = (frame.headers ?? []).slice(0, MOST_EVENTS);
  const headerOf = (name: string): string | undefined =>
    headers.find(([each]) => each === name)?.[1];
  const connect = [headerOf(':method'), headerOf(':authority'), headerOf(':status')];
  return {
    side,
    at: frame,
    says: clipped(
      [isEncrypted ? 'TLS · HTTP/2' : 'HTTP/2', type, ...connect.filter(Boolean)].join(' '),
    ),
    layer: {
      name: `HTTP/2 ${type}`,
      fields: [
        ['stream', String(frame.streamId)],
        ['flags', `0x${frame.flags.toString(16)}`],
        ['length', `${frame.length} B`],
        ...headers.map(([name, value]) => [clipped(name), clipped(value)] as const),
      ],
    },
    isInTls: isEncrypted,
  };
}

function http1Event(message: Http1Message): ConversationEvent {
  const { side, line, headers } = message;
  return {
    side,
    at: message,
    says: clipped(line),
    layer: {
      name: 'HTTP/1',
      fields: [
        [side === 'client' ? 'request' : 'response', clipped(line)],
        ...headers
          .slice(0, MOST_EVENTS)
          .map(([name, value]) => [clipped(name), clipped(value)] as const),
      ],
    },
  };
}

function clipped(text: string): string {
  return text.length <= MOST_TEXT ? text : `${text.slice(0, MOST_TEXT)}… (${text.length} long)`;
}

/** The half of a connection that a side sent. */
export function halfOf(connection: Connection, side: Side): ConnectionHalf {
  return side === 'client' ? connection.fromClient : connection.fromServer;
}
