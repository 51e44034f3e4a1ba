import {
  TLS_CONTENT,
  TLS_HANDSHAKE,
  TLS_MAX_RECORD_BYTES,
  TLS_RECORD_HEADER_BYTES,
  alertName,
  alpnOfEncryptedExtensions,
  decodeCertificates,
  decodeCertificatesTls12,
  decodeNewSessionTicket,
  type TlsSuite,
} from '../../../dataplane/wire/tls.ts';
import { unpackCertificate } from '../../../dataplane/wire/tls-compressed.ts';
import { secretBytes } from '../../../dataplane/wire/tls-keys.ts';
import { RecordOpener, type Lookahead } from '../../../dataplane/wire/tls-opener.ts';
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
  #plain = new PlainStream();
  readonly #certificates: PeerCertificate[] = [];
  readonly #alerts: TlsAlert[] = [];
  readonly #tickets: string[] = [];
  readonly #handshake = new HandshakeReader((type, body) => this.#onMessage(type, body));
  #state: SecretState = { kind: 'none-needed' };
  #opener: RecordOpener | undefined;
  #label = '';
  #isEncrypted = false;
  #keyUpdates = 0;
  #alpn: string | undefined;
  #hasCertificateRequest = false;
  /** The record being read. */
  #index = 0;
  readonly #ahead: { count: number } & Lookahead = {
    count: 0,
    lengthOf: (index) =>
      this.#records.ends[this.#index + index]! - this.#records.starts[this.#index + index]!,
  };
  /** Where the record begins that holds the first byte of the handshake message being read. */
  #messageStart = 0;

  constructor(context: HalfContext) {
    this.#context = context;
  }

  read(stream: ByteStream, start: number): void {
    this.#find(stream, start, stream.end, (at) => {
      const header = stream.read(at, at + TLS_RECORD_HEADER_BYTES).toString('hex');
      const message = `Cannot read TLS record: it begins with 0x${header}`;
      this.#context.onFault(message, { start: at, end: at + TLS_RECORD_HEADER_BYTES });
    });
    const { count, starts, ends } = this.#records;
    // Content is shorter than its record, and opening takes room for one record whole.
    const last = count === 0 ? 0 : ends[count - 1]! - starts[0]!;
    const mayOpen = this.#context.handshake.secret !== undefined;
    const capacity = last + TLS_MAX_RECORD_BYTES + TLS_RECORD_HEADER_BYTES;
    this.#plain = new PlainStream(mayOpen ? capacity : 0);
    for (this.#index = 0; this.#index < count; this.#index++) this.#record(stream, this.#index);
    if (stream.end >= stream.bytes) return;
    if (this.#canReadOn()) {
      this.#state = { kind: 'unread', at: { start: stream.end, end: stream.bytes } };
    }
    // Behind a gap nothing can be decrypted, but where a segment begins a record it can be counted.
    for (const { start: from, end } of stream.later()) {
      this.#find(stream, from, end, () => undefined);
    }
    const { outerTypes, types } = this.#records;
    for (let i = count; i < this.#records.count; i++) {
      types[i] = outerTypes[i] === TLS_CONTENT.applicationData ? 0 : outerTypes[i]!;
    }
  }

  /** Finds whole records; calls `onOther` and ends where something else comes. */
  #find(stream: ByteStream, start: number, end: number, onOther: (at: number) => void): void {
    const { file } = stream.segments;
    for (let at = start; at + TLS_RECORD_HEADER_BYTES <= end;) {
      const header = at + TLS_RECORD_HEADER_BYTES;
      let offset = stream.locate(at, header);
      const from = offset < 0 ? stream.read(at, header) : file;
      if (offset < 0) offset = 0;
      const type = from[offset]!;
      const length = (from[offset + 3]! << 8) | from[offset + 4]!;
      if (type < 20 || type > 23 || from[offset + 1] !== 3 || length > TLS_MAX_RECORD_BYTES) {
        return onOther(at);
      }
      if (header + length > end) return;
      this.#records.add(type, 0, at, header + length);
      at = header + length;
    }
  }

  finish(): ReadHalf {
    const half: TlsHalf = {
      secrets: this.#state,
      records: this.#records,
      certificates: this.#certificates,
      alerts: this.#alerts,
      tickets: this.#tickets,
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

  get #start(): number {
    return this.#records.starts[this.#index]!;
  }

  get #end(): number {
    return this.#records.ends[this.#index]!;
  }

  get #at(): StreamRange {
    return { start: this.#start, end: this.#end };
  }

  #canReadOn(): boolean {
    return this.#state.kind === 'decrypted' || this.#state.kind === 'none-needed';
  }

  #record(stream: ByteStream, index: number): void {
    const { outerTypes, types } = this.#records;
    const outerType = outerTypes[index]!;
    const isProtected =
      outerType === TLS_CONTENT.applicationData || (this.#isEncrypted && outerType !== 20);
    if (isProtected) {
      if (this.#state.kind === 'none-needed') this.#useSecret(this.#context.handshake);
      if (this.#state.kind === 'decrypted') this.#open(stream, index);
      return;
    }
    types[index] = outerType;
    // After this message TLS 1.2 encrypts all, under types of the clear.
    if (outerType === TLS_CONTENT.changeCipherSpec && this.#context.isTls13 === false) {
      this.#isEncrypted = true;
      this.#state = { kind: 'unsupported', what: 'TLS 1.2' };
    } else this.#content(outerType, stream.read(this.#start + TLS_RECORD_HEADER_BYTES, this.#end));
  }

  #open(stream: ByteStream, index: number): void {
    const [start, end] = [this.#start, this.#end];
    const plain = this.#plain;
    let offset = stream.locate(start, end);
    const from = offset < 0 ? stream.read(start, end) : stream.segments.file;
    if (offset < 0) offset = 0;
    this.#ahead.count = this.#records.count - index;
    const into = plain.free;
    const bytes = this.#opener!.open(from, offset, end - start, into, plain.length, this.#ahead);
    if (bytes < 0) return this.#fail({ kind: 'wrong', label: this.#label, at: this.#at });
    const { type } = this.#opener!;
    this.#records.types[index] = type;
    if (type === TLS_CONTENT.applicationData) plain.commit(bytes, start, end);
    else this.#content(type, Buffer.from(into.subarray(plain.length, plain.length + bytes)));
  }

  #content(type: number, content: Buffer): void {
    if (type === TLS_CONTENT.handshake) {
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
      this.#opener = new RecordOpener(suite, secret);
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

  #takeChain(chain: readonly Buffer[]): void {
    const at = { start: this.#messageStart, end: this.#at.end };
    this.#certificates.push(
      ...chain.map((der) => ({ ...this.#context.describeCertificate(der), at })),
    );
  }

  #readMessage(type: number, body: Buffer): void {
    const isEncrypted = this.#opener !== undefined;
    if (type === TLS_HANDSHAKE.encryptedExtensions && isEncrypted) {
      this.#alpn = alpnOfEncryptedExtensions(body);
    } else if (type === TLS_HANDSHAKE.certificateRequest) this.#hasCertificateRequest = true;
    else if (type === TLS_HANDSHAKE.certificate) {
      this.#takeChain(isEncrypted ? decodeCertificates(body) : decodeCertificatesTls12(body));
    } else if (type === TLS_HANDSHAKE.compressedCertificate && isEncrypted) {
      this.#takeChain(decodeCertificates(unpackCertificate(body)));
    } else if (type === TLS_HANDSHAKE.newSessionTicket && isEncrypted) {
      this.#tickets.push(decodeNewSessionTicket(body));
    } else if (type === TLS_HANDSHAKE.finished && isEncrypted) {
      this.#useSecret(this.#context.application);
    } else if (type === TLS_HANDSHAKE.keyUpdate && isEncrypted) {
      this.#keyUpdates++;
      this.#opener!.update();
    }
  }
}
