import {
  TLS_CONTENT,
  TLS_HANDSHAKE,
  TLS_MAX_RECORD_BYTES,
  TLS_RECORD_HEADER_BYTES,
  alertName,
  alpnOfEncryptedExtensions,
  decodeCertificates,
  decodeCertificatesTls12,
  type TlsSuite,
} from '../../../dataplane/wire/tls.ts';
import { secretBytes } from '../../../dataplane/wire/tls-keys.ts';
import { RecordProtection } from '../../../dataplane/wire/tls-record.ts';
import { PlainStream, type ByteStream } from './byte-stream.ts';
import { HandshakeReader } from './handshake-reader.ts';
import { TlsRecords } from './tls-records.ts';
import type {
  CertificateFacts,
  PeerCertificate,
  SecretState,
  StreamRange,
  TlsAlert,
  TlsHalf,
} from './types.ts';

interface LabelledSecret {
  readonly label: string;
  readonly secret: Buffer | undefined;
}

export interface HalfContext {
  readonly side: 'client' | 'server';
  /** Undefined where the ServerHello is missing or chose another. */
  readonly suite: TlsSuite | undefined;
  readonly isTls13: boolean | undefined;
  readonly hasEarlyData: boolean;
  readonly handshake: LabelledSecret;
  readonly application: LabelledSecret;
  readonly describeCertificate: (der: Buffer) => CertificateFacts;
  readonly onFault: (message: string, at: StreamRange) => void;
}

export interface ReadHalf {
  readonly half: TlsHalf;
  readonly plain: PlainStream;
  readonly alpn?: string;
  readonly hasCertificateRequest: boolean;
}

/** Reads the records of one side from `start` on, decrypting as far as the secrets go. */
export function readTlsHalf(stream: ByteStream, start: number, context: HalfContext): ReadHalf {
  const reader = new HalfReader(context);
  reader.read(stream, start);
  return reader.finish();
}

class HalfReader {
  readonly #context: HalfContext;
  readonly #records = new TlsRecords();
  readonly #plain = new PlainStream();
  readonly #certificates: PeerCertificate[] = [];
  readonly #alerts: TlsAlert[] = [];
  readonly #handshake = new HandshakeReader((type, body) => this.#onMessage(type, body));
  #state: SecretState = { kind: 'none-needed' };
  #protection: RecordProtection | undefined;
  #label = '';
  #isEncrypted = false;
  #keyUpdates = 0;
  #alpn: string | undefined;
  #hasCertificateRequest = false;
  /** Of the record being read. */
  #at: StreamRange = { start: 0, end: 0 };
  /** Where the record begins that holds the first byte of the handshake message being read. */
  #messageStart = 0;

  constructor(context: HalfContext) {
    this.#context = context;
  }

  read(stream: ByteStream, start: number): void {
    this.#readRange(stream, start, stream.end, (at, header) => {
      const message = `Cannot read TLS record: it begins with 0x${header.toString('hex')}`;
      this.#context.onFault(message, { start: at, end: at + TLS_RECORD_HEADER_BYTES });
    });
    if (stream.end >= stream.bytes) return;
    if (this.#canReadOn()) {
      this.#state = { kind: 'unread', at: { start: stream.end, end: stream.bytes } };
    }
    // Behind a gap nothing can be decrypted, but where a segment begins a record it can be counted.
    for (const { start: from, end } of stream.later) {
      this.#readRange(stream, from, end, () => undefined);
    }
  }

  /** Reads whole records; calls `onOther` and ends where something else comes. */
  #readRange(
    stream: ByteStream,
    start: number,
    rangeEnd: number,
    onOther: (at: number, header: Buffer) => void,
  ): void {
    for (let at = start; at + TLS_RECORD_HEADER_BYTES <= rangeEnd; at = this.#at.end) {
      const header = stream.read(at, at + TLS_RECORD_HEADER_BYTES);
      const type = header[0]!;
      const length = (header[3]! << 8) | header[4]!;
      if (type < 20 || type > 23 || header[1] !== 3 || length > TLS_MAX_RECORD_BYTES) {
        return onOther(at, header);
      }
      const end = at + TLS_RECORD_HEADER_BYTES + length;
      if (end > rangeEnd) return;
      this.#at = { start: at, end };
      this.#record(type, stream.read(at, end));
    }
  }

  finish(): ReadHalf {
    const half: TlsHalf = {
      secrets: this.#state,
      records: this.#records,
      certificates: this.#certificates,
      alerts: this.#alerts,
      keyUpdates: this.#keyUpdates,
      plaintextBytes: this.#plain.length,
    };
    return {
      half,
      plain: this.#plain,
      alpn: this.#alpn,
      hasCertificateRequest: this.#hasCertificateRequest,
    };
  }

  #canReadOn(): boolean {
    return this.#state.kind === 'decrypted' || this.#state.kind === 'none-needed';
  }

  #record(outerType: number, record: Buffer): void {
    const isProtected =
      outerType === TLS_CONTENT.applicationData || (this.#isEncrypted && outerType !== 20);
    const content = record.subarray(TLS_RECORD_HEADER_BYTES);
    if (!isProtected) {
      this.#records.add(outerType, outerType, this.#at.start, this.#at.end);
      // After this message TLS 1.2 encrypts all, under types of the clear.
      if (outerType === TLS_CONTENT.changeCipherSpec && this.#context.isTls13 === false) {
        this.#isEncrypted = true;
        this.#state = { kind: 'unsupported', what: 'TLS 1.2' };
      } else if (this.#state.kind !== 'unread') this.#content(outerType, content);
      return;
    }
    if (this.#state.kind === 'none-needed') this.#useSecret(this.#context.handshake);
    if (this.#state.kind !== 'decrypted') {
      this.#records.add(outerType, 0, this.#at.start, this.#at.end);
      return;
    }
    const inner = this.#protection!.open(record);
    this.#records.add(outerType, inner?.type ?? 0, this.#at.start, this.#at.end);
    if (inner) this.#content(inner.type, inner.content);
    else this.#fail({ kind: 'wrong', label: this.#label, at: this.#at });
  }

  #content(type: number, content: Buffer): void {
    if (type === TLS_CONTENT.applicationData) {
      this.#plain.push(content, this.#at.start, this.#at.end);
    } else if (type === TLS_CONTENT.handshake) {
      if (!this.#handshake.isHolding) this.#messageStart = this.#at.start;
      if (!this.#handshake.push(content)) {
        this.#context.onFault('Cannot read TLS handshake: message too long', this.#at);
      }
    } else if (type === TLS_CONTENT.alert && content.length === 2) {
      const [level = 0, description = 0] = content;
      this.#alerts.push({ level, description, name: alertName(description), ...this.#at });
    }
  }

  /** Starts with the secret of the handshake or of the application. */
  #useSecret({ label, secret }: LabelledSecret): void {
    const { suite, isTls13, hasEarlyData, side } = this.#context;
    this.#label = label;
    if (isTls13 === false) this.#fail({ kind: 'unsupported', what: 'TLS 1.2' });
    else if (hasEarlyData && side === 'client') this.#fail({ kind: 'unsupported', what: '0-RTT' });
    else if (isTls13 === undefined) this.#fail({ kind: 'unsupported', what: 'no ServerHello' });
    else if (!suite) this.#fail({ kind: 'unsupported', what: 'cipher suite' });
    else if (!secret) this.#fail({ kind: 'missing', label });
    else if (secret.length !== secretBytes(suite))
      this.#fail({ kind: 'wrong', label, at: this.#at });
    else {
      this.#protection = new RecordProtection(suite, secret);
      this.#state = { kind: 'decrypted' };
    }
  }

  #fail(state: SecretState): void {
    this.#state = state;
    if (state.kind === 'wrong') {
      this.#context.onFault(`Cannot decrypt TLS record: wrong ${state.label}`, this.#at);
    }
  }

  #onMessage(type: number, body: Buffer): void {
    try {
      this.#readMessage(type, body);
    } catch (error) {
      this.#context.onFault((error as Error).message, this.#at);
    }
    // What follows in this record begins in it.
    this.#messageStart = this.#at.start;
  }

  #readMessage(type: number, body: Buffer): void {
    const isEncrypted = this.#protection !== undefined;
    if (type === TLS_HANDSHAKE.encryptedExtensions && isEncrypted) {
      this.#alpn = alpnOfEncryptedExtensions(body);
    } else if (type === TLS_HANDSHAKE.certificateRequest) this.#hasCertificateRequest = true;
    else if (type === TLS_HANDSHAKE.certificate) {
      const at = { start: this.#messageStart, end: this.#at.end };
      const chain = isEncrypted ? decodeCertificates(body) : decodeCertificatesTls12(body);
      this.#certificates.push(
        ...chain.map((der) => ({ ...this.#context.describeCertificate(der), at })),
      );
    } else if (type === TLS_HANDSHAKE.finished && isEncrypted) {
      this.#useSecret(this.#context.application);
    } else if (type === TLS_HANDSHAKE.keyUpdate && isEncrypted) {
      this.#keyUpdates++;
      this.#protection!.update();
    }
  }
}
