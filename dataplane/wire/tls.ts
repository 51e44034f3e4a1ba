import { WireError } from './errors.ts';

/** Record content types (RFC 8446 section 5.1). */
export const TLS_CONTENT = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23 };

/** Handshake message types (RFC 8446 section 4). */
export const TLS_HANDSHAKE = {
  clientHello: 1,
  serverHello: 2,
  newSessionTicket: 4,
  encryptedExtensions: 8,
  certificate: 11,
  certificateRequest: 13,
  certificateVerify: 15,
  finished: 20,
  keyUpdate: 24,
  compressedCertificate: 25,
} as const;

export const TLS_RECORD_HEADER_BYTES = 5;

/** Longest record body: 2^14 and what TLS 1.2 may add; TLS 1.3 allows 256 more than 2^14. */
export const TLS_MAX_RECORD_BYTES = 16_384 + 2048;

export interface TlsSuite {
  /** IANA name. */
  readonly name: string;
  readonly cipher: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305';
  readonly hash: 'sha256' | 'sha384';
  readonly keyBytes: 16 | 32;
}

/** Cipher suites of TLS 1.3 that OpenSSL, rustls and BoringSSL use (RFC 8446 appendix B.4). */
export const TLS13_SUITES: ReadonlyMap<number, TlsSuite> = new Map([
  [0x1301, { name: 'TLS_AES_128_GCM_SHA256', cipher: 'aes-128-gcm', hash: 'sha256', keyBytes: 16 }],
  [0x1302, { name: 'TLS_AES_256_GCM_SHA384', cipher: 'aes-256-gcm', hash: 'sha384', keyBytes: 32 }],
  [
    0x1303,
    {
      name: 'TLS_CHACHA20_POLY1305_SHA256',
      cipher: 'chacha20-poly1305',
      hash: 'sha256',
      keyBytes: 32,
    },
  ],
]);

const EXTENSION = {
  serverName: 0,
  alpn: 16,
  preSharedKey: 41,
  earlyData: 42,
  supportedVersions: 43,
} as const;

/** SHA-256 of "HelloRetryRequest", the random of a ServerHello that is one (section 4.1.3). */
const RETRY_RANDOM = 'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c';

const ALERTS: ReadonlyMap<number, string> = new Map([
  [0, 'close_notify'],
  [10, 'unexpected_message'],
  [20, 'bad_record_mac'],
  [22, 'record_overflow'],
  [40, 'handshake_failure'],
  [42, 'bad_certificate'],
  [43, 'unsupported_certificate'],
  [44, 'certificate_revoked'],
  [45, 'certificate_expired'],
  [46, 'certificate_unknown'],
  [47, 'illegal_parameter'],
  [48, 'unknown_ca'],
  [49, 'access_denied'],
  [50, 'decode_error'],
  [51, 'decrypt_error'],
  [70, 'protocol_version'],
  [71, 'insufficient_security'],
  [80, 'internal_error'],
  [86, 'inappropriate_fallback'],
  [90, 'user_canceled'],
  [109, 'missing_extension'],
  [110, 'unsupported_extension'],
  [112, 'unrecognized_name'],
  [113, 'bad_certificate_status_response'],
  [115, 'unknown_psk_identity'],
  [116, 'certificate_required'],
  [120, 'no_application_protocol'],
]);

/** Name of an alert description (RFC 8446 section 6), `alert_<n>` for others. */
export function alertName(description: number): string {
  return ALERTS.get(description) ?? `alert_${description}`;
}

export interface ClientHello {
  /** Lower case hexadecimal, as in key logs. */
  readonly random: string;
  readonly cipherSuites: readonly number[];
  readonly serverName?: string;
  readonly alpn: readonly string[];
  readonly versions: readonly number[];
  readonly hasEarlyData: boolean;
  /** Tickets of sessions that it would resume, lower case hexadecimal. */
  readonly tickets: readonly string[];
}

export interface ServerHello {
  readonly random: string;
  readonly cipherSuite: number;
  /** Chosen version: 0x0304 for TLS 1.3, 0x0303 for 1.2. */
  readonly version: number;
  readonly isRetryRequest: boolean;
  /** Which of the client's tickets it took; absent for a handshake with certificates. */
  readonly ticketIndex?: number | undefined;
}

/**
 * Body of a ClientHello message (RFC 8446 section 4.1.2).
 * @throws WireError
 */
export function decodeClientHello(body: Buffer): ClientHello {
  const reader = new Reader(body);
  reader.skip(2);
  const random = reader.take(32).toString('hex');
  reader.vector(1);
  const suites = reader.vector(2);
  reader.vector(1);
  let serverName: string | undefined;
  let alpn: string[] = [];
  let versions: number[] = [];
  let hasEarlyData = false;
  let tickets: string[] = [];
  for (const { type, data } of reader.extensions()) {
    if (type === EXTENSION.serverName && data.length > 5) {
      const names = new Reader(data.subarray(2));
      names.skip(1);
      serverName = names.vector(2).toString('latin1');
    } else if (type === EXTENSION.alpn) alpn = decodeAlpn(data);
    else if (type === EXTENSION.supportedVersions) {
      versions = uint16List(new Reader(data).vector(1));
    } else if (type === EXTENSION.earlyData) hasEarlyData = true;
    else if (type === EXTENSION.preSharedKey) tickets = decodeTickets(data);
  }
  const cipherSuites = uint16List(suites);
  return { random, cipherSuites, serverName, alpn, versions, hasEarlyData, tickets };
}

/**
 * Body of a ServerHello message (RFC 8446 section 4.1.3).
 * @throws WireError
 */
export function decodeServerHello(body: Buffer): ServerHello {
  const reader = new Reader(body);
  let version = reader.uint16();
  const random = reader.take(32).toString('hex');
  reader.vector(1);
  const cipherSuite = reader.uint16();
  reader.skip(1);
  let ticketIndex: number | undefined;
  for (const { type, data } of reader.extensions()) {
    if (type === EXTENSION.supportedVersions && data.length === 2) version = data.readUInt16BE(0);
    if (type === EXTENSION.preSharedKey && data.length === 2) ticketIndex = data.readUInt16BE(0);
  }
  const isRetryRequest = random === RETRY_RANDOM;
  return { random, cipherSuite, version, isRetryRequest, ticketIndex };
}

/** The ticket in a NewSessionTicket body, lower case hexadecimal (section 4.6.1). @throws WireError */
export function decodeNewSessionTicket(body: Buffer): string {
  const reader = new Reader(body);
  reader.skip(8);
  reader.vector(1);
  return reader.vector(2).toString('hex');
}

/** The protocol chosen in an EncryptedExtensions body, if any. @throws WireError */
export function alpnOfEncryptedExtensions(body: Buffer): string | undefined {
  const alpn = new Reader(body).extensions().find(({ type }) => type === EXTENSION.alpn);
  return alpn && decodeAlpn(alpn.data)[0];
}

/** DER certificates of a TLS 1.3 Certificate body, leaf first (section 4.4.2). @throws WireError */
export function decodeCertificates(body: Buffer): Buffer[] {
  const reader = new Reader(body);
  reader.vector(1);
  const list = new Reader(reader.vector(3));
  const certificates: Buffer[] = [];
  while (!list.isAtEnd) {
    certificates.push(list.vector(3));
    list.vector(2);
  }
  return certificates;
}

/** DER certificates of a TLS 1.2 Certificate body (RFC 5246 section 7.4.2). @throws WireError */
export function decodeCertificatesTls12(body: Buffer): Buffer[] {
  const list = new Reader(new Reader(body).vector(3));
  const certificates: Buffer[] = [];
  while (!list.isAtEnd) certificates.push(list.vector(3));
  return certificates;
}

/** Identities of a client's pre_shared_key extension (section 4.2.11). */
function decodeTickets(data: Buffer): string[] {
  const list = new Reader(new Reader(data).vector(2));
  const tickets: string[] = [];
  while (!list.isAtEnd) {
    tickets.push(list.vector(2).toString('hex'));
    list.skip(4);
  }
  return tickets;
}

function decodeAlpn(data: Buffer): string[] {
  const list = new Reader(new Reader(data).vector(2));
  const names: string[] = [];
  while (!list.isAtEnd) names.push(list.vector(1).toString('latin1'));
  return names;
}

function uint16List(bytes: Buffer): number[] {
  const values: number[] = [];
  for (let at = 0; at + 2 <= bytes.length; at += 2) values.push(bytes.readUInt16BE(at));
  return values;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  take(count: number): Buffer {
    const end = this.#at + count;
    if (end > this.#bytes.length) {
      const left = this.#bytes.length - this.#at;
      throw new WireError('tls', `Cannot read TLS: ${count} bytes wished, ${left} left`, this.#at);
    }
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  skip(count: number): void {
    this.take(count);
  }

  uint16(): number {
    return this.take(2).readUInt16BE(0);
  }

  /** Bytes that a length of `lengthBytes` precedes. */
  vector(lengthBytes: 1 | 2 | 3): Buffer {
    return this.take(this.take(lengthBytes).readUIntBE(0, lengthBytes));
  }

  extensions(): { type: number; data: Buffer }[] {
    if (this.isAtEnd) return [];
    const list = new Reader(this.vector(2));
    const extensions: { type: number; data: Buffer }[] = [];
    while (!list.isAtEnd) extensions.push({ type: list.uint16(), data: list.vector(2) });
    return extensions;
  }
}
