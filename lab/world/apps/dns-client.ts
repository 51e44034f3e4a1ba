import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { DNS_CLASS_IN, DNS_TYPE, decodeDns, encodeDns } from '../../../dataplane/wire/dns.ts';
import type { EchoReport } from './echo-client.ts';
import { formatPeer } from './context.ts';

interface Question {
  readonly server: string;
  readonly port: number;
  readonly name: string;
  readonly timeoutMs: number;
}

/**
 * Asks a server for the address of a name: `dns-udp|dns-tcp <server> <port> <name> <timeout ms>`.
 * Prints an `EchoReport`: the address, or how the server answered, is its body.
 */
export async function runDnsClient(args: readonly string[]): Promise<void> {
  const [protocol, server = '', port, name = '', timeout] = args;
  const question = { server, port: Number(port), name, timeoutMs: Number(timeout) };
  const report = await (protocol === 'dns-tcp' ? askOverTcp(question) : askOverUdp(question));
  process.stdout.write(`${JSON.stringify(report)}\n`);
  process.exit(report.outcome === 'ok' ? 0 : 1);
}

function askOverUdp({ server, port, name, timeoutMs }: Question): Promise<EchoReport> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const remote = formatPeer(server, port);
    const end = (report: Omit<EchoReport, 'remote'>): void => {
      clearTimeout(timer);
      resolve({ ...report, remote });
      socket.close();
    };
    const timer = setTimeout(() => end(silence(timeoutMs)), timeoutMs);
    socket.connect(port, server, () => socket.send(query(name)));
    socket.once('message', (bytes) => end(read(bytes)));
    socket.once('error', (error) => end(refusal(error)));
  });
}

function askOverTcp({ server, port, name, timeoutMs }: Question): Promise<EchoReport> {
  return new Promise((resolve) => {
    const remote = formatPeer(server, port);
    const socket = connect({ host: server, port, noDelay: true });
    let bytes = Buffer.alloc(0);
    const end = (report: Omit<EchoReport, 'remote'>): void => {
      clearTimeout(timer);
      resolve({ ...report, remote });
      socket.destroy();
    };
    const timer = setTimeout(() => end(silence(timeoutMs)), timeoutMs);
    socket.once('connect', () => {
      const message = query(name);
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

function query(name: string): Buffer {
  const flags = { opcode: 0, isAuthoritative: false, isTruncated: false, rcode: 0 };
  const wishes = { isRecursionDesired: true, isRecursionAvailable: false };
  return encodeDns({
    ...flags,
    ...wishes,
    id: process.pid & 0xffff,
    isResponse: false,
    isAuthenticData: false,
    isCheckingDisabled: false,
    questions: [{ name, type: DNS_TYPE.A, class: DNS_CLASS_IN }],
    answers: [],
    authorities: [],
    additionals: [],
  });
}

function read(bytes: Buffer): Omit<EchoReport, 'remote'> {
  try {
    const { rcode, answers } = decodeDns(bytes);
    const body = answers
      .flatMap(({ data }) => ('address' in data ? [String(data.address)] : []))
      .join(' ');
    if (rcode === 0 && body !== '') return { outcome: 'ok', body };
    return { outcome: 'error', body, error: `rcode ${rcode}, ${answers.length} answers` };
  } catch (error) {
    return { outcome: 'error', body: '', error: (error as Error).message };
  }
}

function silence(timeoutMs: number): Omit<EchoReport, 'remote'> {
  return { outcome: 'timeout', body: '', error: `no answer within ${timeoutMs} ms` };
}

function refusal(error: Error): Omit<EchoReport, 'remote'> {
  const code = 'code' in error ? error.code : undefined;
  const outcome = code === 'ECONNREFUSED' ? 'refused' : code === 'ECONNRESET' ? 'reset' : 'error';
  return { outcome, body: '', error: error.message };
}
