import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import {
  DNS_CLASS_IN,
  DNS_TYPE,
  decodeDns,
  encodeDns,
  type DnsData,
} from '../../../dataplane/wire/dns.ts';
import type { EchoReport } from './echo-client.ts';
import { formatPeer } from './context.ts';

interface Question {
  readonly server: string;
  readonly port: number;
  readonly name: string;
  readonly type: number;
  readonly timeoutMs: number;
}

/** Without what the sockets say. */
type Answer = Omit<EchoReport, 'remote' | 'local'>;

/**
 * Asks a server: `dns-udp|dns-tcp <server> <port> <name> <timeout ms> [type]`, type A unless given.
 * Prints an `EchoReport`: the data of the answers with spaces between, or how the server refused, is
 * its body.
 */
export async function runDnsClient(args: readonly string[]): Promise<void> {
  const [protocol, server = '', port, name = '', timeout, word = 'A'] = args;
  const type = DNS_TYPE[word as keyof typeof DNS_TYPE] ?? DNS_TYPE.A;
  const question = { server, port: Number(port), name, type, timeoutMs: Number(timeout) };
  const report = await (protocol === 'dns-tcp' ? askOverTcp(question) : askOverUdp(question));
  process.stdout.write(`${JSON.stringify(report)}\n`);
  process.exit(report.outcome === 'ok' ? 0 : 1);
}

function askOverUdp({ server, port, timeoutMs, ...asked }: Question): Promise<EchoReport> {
  return new Promise((resolve) => {
    const socket = createSocket(server.includes(':') ? 'udp6' : 'udp4');
    const remote = formatPeer(server, port);
    let local: string | undefined;
    const end = (report: Answer): void => {
      clearTimeout(timer);
      resolve({ ...report, ...(local === undefined ? {} : { local }), remote });
      socket.close();
    };
    const timer = setTimeout(() => end(silence(timeoutMs)), timeoutMs);
    socket.connect(port, server, () => {
      const own = socket.address();
      local = formatPeer(own.address, own.port);
      socket.send(query(asked));
    });
    socket.once('message', (bytes) => end(read(bytes)));
    socket.once('error', (error) => end(refusal(error)));
  });
}

function askOverTcp({ server, port, timeoutMs, ...asked }: Question): Promise<EchoReport> {
  return new Promise((resolve) => {
    const remote = formatPeer(server, port);
    const socket = connect({ host: server, port, noDelay: true });
    let local: string | undefined;
    let bytes = Buffer.alloc(0);
    const end = (report: Answer): void => {
      clearTimeout(timer);
      resolve({ ...report, ...(local === undefined ? {} : { local }), remote });
      socket.destroy();
    };
    const timer = setTimeout(() => end(silence(timeoutMs)), timeoutMs);
    socket.once('connect', () => {
      local = formatPeer(socket.localAddress ?? '', socket.localPort ?? 0);
      const message = query(asked);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(message.length);
      socket.write(Buffer.concat([length, message]));
    });
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      const isWhole = bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0);
      if (isWhole) end(read(bytes.subarray(2)));
    });
    socket.once('end', () => end({ outcome: 'reset', body: '', error: 'closed without answer' }));
    socket.once('error', (error) => end(refusal(error)));
  });
}

function query({ name, type }: Pick<Question, 'name' | 'type'>): Buffer {
  const flags = { opcode: 0, isAuthoritative: false, isTruncated: false, rcode: 0 };
  const wishes = { isRecursionDesired: true, isRecursionAvailable: false };
  return encodeDns({
    ...flags,
    ...wishes,
    id: process.pid & 0xffff,
    isResponse: false,
    isAuthenticData: false,
    isCheckingDisabled: false,
    questions: [{ name, type, class: DNS_CLASS_IN }],
    answers: [],
    authorities: [],
    additionals: [],
  });
}

function read(bytes: Buffer): Answer {
  try {
    const { rcode, answers } = decodeDns(bytes);
    const body = answers.flatMap(({ data }) => textOf(data) ?? []).join(' ');
    if (rcode === 0 && body !== '') return { outcome: 'ok', body };
    return { outcome: 'error', body, error: `rcode ${rcode}, ${answers.length} answers` };
  } catch (error) {
    return { outcome: 'error', body: '', error: (error as Error).message };
  }
}

/** Data of a record as people write it; a CNAME is no answer by itself. */
function textOf(data: DnsData): string | undefined {
  switch (data.kind) {
    case 'address':
      return data.address;
    case 'srv':
      return `${data.target}:${data.port}`;
    case 'txt':
      return data.strings.map(String).join('');
    default:
      return undefined;
  }
}

function silence(timeoutMs: number): Answer {
  return { outcome: 'timeout', body: '', error: `no answer within ${timeoutMs} ms` };
}

function refusal(error: Error): Answer {
  const code = 'code' in error ? error.code : undefined;
  const outcome = code === 'ECONNREFUSED' ? 'refused' : code === 'ECONNRESET' ? 'reset' : 'error';
  return { outcome, body: '', error: error.message };
}
