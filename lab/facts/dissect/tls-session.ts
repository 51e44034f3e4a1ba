import {
  TLS13_SUITES,
  TLS_CONTENT,
  TLS_HANDSHAKE,
  TLS_MAX_RECORD_BYTES,
  TLS_RECORD_HEADER_BYTES,
  decodeClientHello,
  decodeServerHello,
  type ClientHello,
  type ServerHello,
} from '../../../dataplane/wire/tls.ts';
import { KEY_LOG_LABEL, type KeyLog } from '../../../dataplane/wire/tls-keys.ts';
import { PlainStream, type ByteStream } from './byte-stream.ts';
import { HandshakeReader } from './handshake-reader.ts';
import { readTlsHalf, type HalfContext } from './tls-half.ts';
import type { DissectFault, CertificateFacts, StreamRange, TlsSession } from './types.ts';

/** A session, and what each side's application said in it. */
export interface ReadTls {
  readonly session: TlsSession;
  readonly client: PlainStream;
  readonly server: PlainStream;
}

/** Takes a fault and where in the side's TCP stream it lies. */
export type OnFault = (
  side: 'client' | 'server',
  layer: DissectFault['layer'],
  message: string,
  at: StreamRange,
) => void;

/** What a DER certificate says. @throws where it is none */
export type DescribeCertificate = (der: Buffer) => CertificateFacts;

export interface TlsOptions {
  readonly keyLog: KeyLog;
  readonly describeCertificate: DescribeCertificate;
  readonly onFault: OnFault;
}

/** True where the stream at `start` begins with a ClientHello record. */
export function beginsTls(stream: ByteStream, start: number): boolean {
  if (stream.end - start < TLS_RECORD_HEADER_BYTES + 1) return false;
  const head = stream.read(start, start + TLS_RECORD_HEADER_BYTES + 1);
  return (
    head[0] === TLS_CONTENT.handshake && head[1] === 3 && head[5] === TLS_HANDSHAKE.clientHello
  );
}

/**
 * Reads the TLS session of a conversation whose client stream {@link beginsTls} at `start`.
 * Decrypts what the key log has secrets for, and says of the rest why not. Never throws.
 */
export function readTls(
  client: ByteStream,
  start: number,
  server: ByteStream,
  options: TlsOptions,
): ReadTls {
  const { keyLog, describeCertificate, onFault } = options;
  const hellos = readHellos(client, start, server, onFault);
  const { clientHello, serverHello } = hellos;
  const secrets = clientHello && keyLog.get(clientHello.random);
  const base = {
    suite: serverHello && TLS13_SUITES.get(serverHello.cipherSuite),
    isTls13: serverHello === undefined ? undefined : serverHello.version === 0x0304,
    hasEarlyData: clientHello?.hasEarlyData ?? false,
  };
  const context = (side: 'client' | 'server', handshake: string, application: string) => {
    const half: HalfContext = {
      ...base,
      side,
      handshake: { label: handshake, secret: secrets?.get(handshake) },
      application: { label: application, secret: secrets?.get(application) },
      describeCertificate,
      onFault: (message, at) => onFault(side, 'tls', message, at),
    };
    return half;
  };
  const { clientHandshake, clientApplication, serverHandshake, serverApplication } = KEY_LOG_LABEL;
  const fromClient = readTlsHalf(
    client,
    start,
    context('client', clientHandshake, clientApplication),
  );
  const fromServer = readTlsHalf(server, 0, context('server', serverHandshake, serverApplication));
  const resumedTicket = clientHello?.tickets[serverHello?.ticketIndex ?? -1];
  const session: TlsSession = {
    clientRandom: clientHello?.random,
    serverName: clientHello?.serverName,
    alpnOffered: clientHello?.alpn ?? [],
    alpn: fromServer.alpn,
    ...(serverHello && {
      version: base.isTls13 ? 'TLS 1.3' : 'TLS 1.2',
      cipherSuite: base.suite?.name ?? `0x${serverHello.cipherSuite.toString(16).padStart(4, '0')}`,
    }),
    ...(resumedTicket !== undefined && { resumedTicket }),
    client: fromClient.half,
    server: fromServer.half,
    isClientCertificateRequested: fromServer.hasCertificateRequest,
  };
  return { session, client: fromClient.plain, server: fromServer.plain };
}

function readHellos(
  client: ByteStream,
  start: number,
  server: ByteStream,
  onFault: OnFault,
): { clientHello?: ClientHello; serverHello?: ServerHello } {
  let clientHello: ClientHello | undefined;
  let serverHello: ServerHello | undefined;
  const fault = (side: 'client' | 'server', error: unknown) => {
    const from = side === 'client' ? start : 0;
    onFault(side, 'tls', (error as Error).message, { start: from, end: from + 1 });
  };
  readClearHandshake(client, start, (type, body) => {
    try {
      if (type === TLS_HANDSHAKE.clientHello) clientHello = decodeClientHello(body);
    } catch (error) {
      fault('client', error);
    }
    return false;
  });
  readClearHandshake(server, 0, (type, body) => {
    try {
      if (type === TLS_HANDSHAKE.serverHello) serverHello = decodeServerHello(body);
    } catch (error) {
      fault('server', error);
    }
    // After a retry request comes the ServerHello that counts.
    return serverHello?.isRetryRequest === true;
  });
  return { clientHello, serverHello };
}

/** Gives the messages of the records in clear at the start of a stream, until told to stop. */
function readClearHandshake(
  stream: ByteStream,
  start: number,
  onMessage: (type: number, body: Buffer) => boolean,
): void {
  let goesOn = true;
  const reader = new HandshakeReader((type, body) => {
    if (goesOn) goesOn = onMessage(type, body);
  });
  for (let at = start; goesOn && at + TLS_RECORD_HEADER_BYTES <= stream.end;) {
    const header = stream.read(at, at + TLS_RECORD_HEADER_BYTES);
    const length = header.readUInt16BE(3);
    const end = at + TLS_RECORD_HEADER_BYTES + length;
    const type = header[0];
    const isClear = type === TLS_CONTENT.handshake || type === TLS_CONTENT.changeCipherSpec;
    if (!isClear || header[1] !== 3 || length > TLS_MAX_RECORD_BYTES || end > stream.end) return;
    if (type === TLS_CONTENT.handshake && length > 0) {
      if (!reader.push(stream.read(at + TLS_RECORD_HEADER_BYTES, end))) return;
    }
    at = end;
  }
}
