import { WireError } from './errors.ts';
import { encodeEdns, readEdns, type DnsEdns } from './dns-edns.ts';
import { readName, NameWriter, shortOf } from './dns-name.ts';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from './ip-address.ts';

/** RFC 1035 section 3.2.2 and later. */
export const DNS_TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  ANY: 255,
} as const;

export const DNS_CLASS_IN = 1;

/** RFC 1035 section 4.1.1. */
export const DNS_RCODE = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
} as const;

/** What a record holds. Names are dotted without the last dot, the root being the empty string. */
export type DnsData =
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'name'; readonly name: string }
  | {
      readonly kind: 'srv';
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    }
  | { readonly kind: 'txt'; readonly strings: readonly Buffer[] }
  | {
      readonly kind: 'soa';
      readonly primary: string;
      readonly mailbox: string;
      readonly serial: number;
      readonly refreshSeconds: number;
      readonly retrySeconds: number;
      readonly expireSeconds: number;
      readonly minimumSeconds: number;
    }
  | { readonly kind: 'raw'; readonly data: Buffer };

export interface DnsQuestion {
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

export interface DnsRecord {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly ttlSeconds: number;
  readonly data: DnsData;
}

export interface DnsMessage {
  readonly id: number;
  readonly isResponse: boolean;
  readonly opcode: number;
  readonly isAuthoritative: boolean;
  readonly isTruncated: boolean;
  readonly isRecursionDesired: boolean;
  readonly isRecursionAvailable: boolean;
  readonly isAuthenticData: boolean;
  readonly isCheckingDisabled: boolean;
  /** Twelve bits where EDNS is there, else four. */
  readonly rcode: number;
  readonly questions: readonly DnsQuestion[];
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
  readonly edns?: DnsEdns;
}

const HEADER_BYTES = 12;
const NO_DATA = Buffer.alloc(0);

/** Types of one domain name as data; only those of RFC 1035 may be compressed (RFC 3597). */
const NAME_TYPES: ReadonlySet<number> = new Set([DNS_TYPE.NS, DNS_TYPE.CNAME, DNS_TYPE.PTR]);

/**
 * Decodes a DNS message, without the length that precedes it on TCP. Names keep their case.
 * @throws WireError where it is no whole message
 */
export function decodeDns(message: Buffer): DnsMessage {
  if (message.length < HEADER_BYTES) {
    throw new WireError('dns', `Cannot read DNS message of ${message.length} bytes`, 0);
  }
  const flags = message.readUInt16BE(2);
  const reader = new Reader(message, HEADER_BYTES);
  const questions = reader.questions(message.readUInt16BE(4));
  const answers = reader.records(message.readUInt16BE(6));
  const authorities = reader.records(message.readUInt16BE(8));
  const additionals = reader.records(message.readUInt16BE(10));
  const opt = additionals.find(({ type }) => type === DNS_TYPE.OPT);
  const edns =
    opt && readEdns(opt.class, opt.ttlSeconds, opt.data.kind === 'raw' ? opt.data.data : NO_DATA);
  return {
    id: message.readUInt16BE(0),
    isResponse: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 15,
    isAuthoritative: (flags & 0x0400) !== 0,
    isTruncated: (flags & 0x0200) !== 0,
    isRecursionDesired: (flags & 0x0100) !== 0,
    isRecursionAvailable: (flags & 0x0080) !== 0,
    isAuthenticData: (flags & 0x0020) !== 0,
    isCheckingDisabled: (flags & 0x0010) !== 0,
    rcode: (flags & 15) | (opt ? (opt.ttlSeconds >>> 24) << 4 : 0),
    questions,
    answers,
    authorities,
    additionals: additionals.filter(({ type }) => type !== DNS_TYPE.OPT),
    ...(edns && { edns }),
  };
}

class Reader {
  readonly #message: Buffer;
  #at: number;

  constructor(message: Buffer, at: number) {
    this.#message = message;
    this.#at = at;
  }

  questions(count: number): DnsQuestion[] {
    const questions: DnsQuestion[] = [];
    for (let i = 0; i < count; i++) {
      const name = this.#name();
      const at = this.#take(4);
      questions.push({
        name,
        type: this.#message.readUInt16BE(at),
        class: this.#message.readUInt16BE(at + 2),
      });
    }
    return questions;
  }

  records(count: number): DnsRecord[] {
    const records: DnsRecord[] = [];
    for (let i = 0; i < count; i++) {
      const name = this.#name();
      const at = this.#take(10);
      const type = this.#message.readUInt16BE(at);
      const start = this.#take(this.#message.readUInt16BE(at + 8));
      records.push({
        name,
        type,
        class: this.#message.readUInt16BE(at + 2),
        ttlSeconds: this.#message.readUInt32BE(at + 4),
        data: readData(this.#message, type, start, this.#at),
      });
    }
    return records;
  }

  #name(): string {
    const { name, end } = readName(this.#message, this.#at);
    this.#at = end;
    return name;
  }

  /** Steps over `bytes` that must be there; returns where they start. */
  #take(bytes: number): number {
    const start = this.#at;
    if (start + bytes > this.#message.length) throw shortOf(bytes, start);
    this.#at = start + bytes;
    return start;
  }
}

function readData(message: Buffer, type: number, start: number, end: number): DnsData {
  const length = end - start;
  if (type === DNS_TYPE.A && length === 4) {
    return { kind: 'address', address: formatIpv4(message, start) };
  }
  if (type === DNS_TYPE.AAAA && length === 16) {
    return { kind: 'address', address: formatIpv6(message, start) };
  }
  if (type === DNS_TYPE.A || type === DNS_TYPE.AAAA) throw shortOf(type === 1 ? 4 : 16, start);
  if (NAME_TYPES.has(type)) return { kind: 'name', name: nameWithin(message, start, end) };
  if (type === DNS_TYPE.SRV) {
    if (length < 7) throw shortOf(7, start);
    return {
      kind: 'srv',
      priority: message.readUInt16BE(start),
      weight: message.readUInt16BE(start + 2),
      port: message.readUInt16BE(start + 4),
      target: nameWithin(message, start + 6, end),
    };
  }
  if (type === DNS_TYPE.TXT) return { kind: 'txt', strings: readStrings(message, start, end) };
  if (type === DNS_TYPE.SOA) return readSoa(message, start, end);
  return { kind: 'raw', data: message.subarray(start, end) };
}

function nameWithin(message: Buffer, start: number, end: number): string {
  const read = readName(message, start);
  if (read.end !== end)
    throw new WireError('dns', 'Cannot read record: name ends elsewhere', start);
  return read.name;
}

function readStrings(message: Buffer, start: number, end: number): Buffer[] {
  const strings: Buffer[] = [];
  for (let at = start; at < end;) {
    const next = at + 1 + message[at]!;
    if (next > end) throw shortOf(next - at, at);
    strings.push(message.subarray(at + 1, next));
    at = next;
  }
  return strings;
}

function readSoa(message: Buffer, start: number, end: number): DnsData {
  const primary = readName(message, start);
  const mailbox = readName(message, primary.end);
  const at = mailbox.end;
  if (at + 20 !== end) throw shortOf(20, at);
  return {
    kind: 'soa',
    primary: primary.name,
    mailbox: mailbox.name,
    serial: message.readUInt32BE(at),
    refreshSeconds: message.readUInt32BE(at + 4),
    retrySeconds: message.readUInt32BE(at + 8),
    expireSeconds: message.readUInt32BE(at + 12),
    minimumSeconds: message.readUInt32BE(at + 16),
  };
}

/**
 * Encodes a message with compressed names. Where it would take more than `maxBytes` (512 or what
 * EDNS says on UDP, 65,535 on TCP), records, then questions, are left out from the end and TC is
 * set (RFC 2181 section 9); EDNS is kept, and a record left out of the additional section alone sets no TC.
 * @throws WireError on a name, address or string that DNS cannot hold
 */
export function encodeDns(message: DnsMessage, maxBytes = 65_535): Buffer {
  const writer = new Writer(message, maxBytes);
  const questions = writer.questions(message.questions);
  const answers = writer.records(message.answers, questions);
  const authorities = writer.records(message.authorities, answers);
  const isCut =
    !questions.isWhole ||
    answers.count < message.answers.length ||
    authorities.count < message.authorities.length;
  const additionals = writer.records(message.additionals, authorities);
  const counts = [questions.count, answers.count, authorities.count, additionals.count] as const;
  return writer.finish(message, counts, isCut);
}

interface Written {
  readonly count: number;
  /** False once a record did not fit: no later one is written then. */
  readonly isWhole: boolean;
}

class Writer {
  readonly #names: NameWriter;
  readonly #limit: number;
  readonly #edns: Buffer;

  constructor(message: DnsMessage, maxBytes: number) {
    this.#edns = message.edns ? encodeEdns(message.edns, message.rcode) : Buffer.alloc(0);
    this.#limit = Math.min(maxBytes, 65_535) - this.#edns.length;
    this.#names = new NameWriter(HEADER_BYTES);
  }

  questions(questions: readonly DnsQuestion[]): Written {
    return this.#whileFitting(questions, ({ name, type, class: dnsClass }) => {
      this.#names.name(name, true);
      this.#names.uint16(type);
      this.#names.uint16(dnsClass);
    });
  }

  records(records: readonly DnsRecord[], before: Written): Written {
    if (!before.isWhole) return { count: 0, isWhole: false };
    return this.#whileFitting(records, (record) => this.#record(record));
  }

  finish(
    message: DnsMessage,
    counts: readonly [number, number, number, number],
    isCut: boolean,
  ): Buffer {
    const [questions, answers, authorities, additionals] = counts;
    const out = Buffer.concat([this.#names.bytes(), this.#edns]);
    out.writeUInt16BE(message.id, 0);
    out.writeUInt16BE(flagsOf(message) | (isCut ? 0x0200 : 0), 2);
    out.writeUInt16BE(questions, 4);
    out.writeUInt16BE(answers, 6);
    out.writeUInt16BE(authorities, 8);
    out.writeUInt16BE(additionals + (this.#edns.length > 0 ? 1 : 0), 10);
    return out;
  }

  #whileFitting<T>(items: readonly T[], write: (item: T) => void): Written {
    for (let i = 0; i < items.length; i++) {
      const start = this.#names.length;
      write(items[i]!);
      if (this.#names.length > this.#limit) {
        this.#names.rewind(start);
        return { count: i, isWhole: false };
      }
    }
    return { count: items.length, isWhole: true };
  }

  #record(record: DnsRecord): void {
    const names = this.#names;
    names.name(record.name, true);
    names.uint16(record.type);
    names.uint16(record.class);
    names.uint32(record.ttlSeconds);
    const lengthAt = names.length;
    names.uint16(0);
    this.#data(record);
    names.patchUint16(lengthAt, names.length - lengthAt - 2);
  }

  #data({ type, data }: DnsRecord): void {
    const names = this.#names;
    switch (data.kind) {
      case 'address':
        return names.raw(
          type === DNS_TYPE.AAAA ? parseIpv6(data.address) : parseIpv4(data.address),
        );
      case 'name':
        return names.name(data.name, NAME_TYPES.has(type));
      case 'srv':
        names.uint16(data.priority);
        names.uint16(data.weight);
        names.uint16(data.port);
        return names.name(data.target, false);
      case 'txt':
        for (const string of data.strings) names.string(string);
        return;
      case 'soa':
        names.name(data.primary, true);
        names.name(data.mailbox, true);
        names.uint32(data.serial);
        names.uint32(data.refreshSeconds);
        names.uint32(data.retrySeconds);
        names.uint32(data.expireSeconds);
        return names.uint32(data.minimumSeconds);
      case 'raw':
        return names.raw(data.data);
    }
  }
}

function flagsOf(message: DnsMessage): number {
  return (
    (message.isResponse ? 0x8000 : 0) |
    ((message.opcode & 15) << 11) |
    (message.isAuthoritative ? 0x0400 : 0) |
    (message.isTruncated ? 0x0200 : 0) |
    (message.isRecursionDesired ? 0x0100 : 0) |
    (message.isRecursionAvailable ? 0x0080 : 0) |
    (message.isAuthenticData ? 0x0020 : 0) |
    (message.isCheckingDisabled ? 0x0010 : 0) |
    (message.rcode & 15)
  );
}
