import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';
import type { RequestResult } from '../../facts/request.ts';
import { formatPeer } from './context.ts';

/** What one exchange came to; the last line of the client's standard output. */
export interface EchoReport {
  readonly outcome: RequestResult['outcome'];
  readonly local?: string;
  readonly remote?: string;
  readonly body: string;
  readonly error?: string;
}

/**
 * Sends one line with the canary and wants it back: `tcp|udp <host> <port> <canary> <timeout ms> [4|6]`.
 * Prints an `EchoReport`; names are resolved as every program of the machine does.
 */
export async function runEchoClient(args: readonly string[]): Promise<void> {
  const [protocol, host = '', port, canary = '', timeout, family] = args;
  const exchange = protocol === 'udp' ? exchangeOverUdp : exchangeOverTcp;
  const to = { host, port: Number(port), family: family === undefined ? 0 : Number(family) };
  const report = await resolveAndRun(exchange, to, canary, Number(timeout));
  process.stdout.write(`${JSON.stringify(report)}\n`);
  process.exit(report.outcome === 'ok' ? 0 : 1);
}

type Exchange = (
  address: string,
  port: number,
  line: string,
  timeoutMs: number,
) => Promise<EchoReport>;

async function resolveAndRun(
  exchange: Exchange,
  { host, port, family }: { readonly host: string; readonly port: number; readonly family: number },
  canary: string,
  timeoutMs: number,
): Promise<EchoReport> {
  let address: string;
  try {
    ({ address } = await lookup(host, { family }));
  } catch (error) {
    return { outcome: 'error', body: '', error: (error as Error).message };
  }
  return exchange(address, port, `${canary}\n`, timeoutMs);
}

function exchangeOverTcp(
  address: string,
  port: number,
  line: string,
  timeoutMs: number,
): Promise<EchoReport> {
  return new Promise((resolve) => {
    let body = '';
    let local: string | undefined;
    const remote = formatPeer(address, port);
    const socket = connect({ host: address, port, noDelay: true });
    const end = (outcome: EchoReport['outcome'], error?: string): void => {
      clearTimeout(timer);
      resolve({ outcome, local, remote, body, error });
      socket.destroy();
    };
    const timer = setTimeout(() => end('timeout', `no echo within ${timeoutMs} ms`), timeoutMs);
    socket.once('connect', () => {
      local = formatPeer(socket.localAddress, socket.localPort);
      socket.write(line);
    });
    socket.on('data', (bytes: Buffer) => {
      body += bytes.toString('utf8');
      if (body.length >= line.length) socket.end();
    });
    socket.once('end', () =>
      body === line ? end('ok') : end('reset', 'the connection was closed before the echo'),
    );
    socket.once('error', (error) => end(outcomeOf(error), error.message));
  });
}

function exchangeOverUdp(
  address: string,
  port: number,
  line: string,
  timeoutMs: number,
): Promise<EchoReport> {
  return new Promise((resolve) => {
    const remote = formatPeer(address, port);
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    let local: string | undefined;
    const end = (outcome: EchoReport['outcome'], body: string, error?: string): void => {
      clearTimeout(timer);
      resolve({ outcome, local, remote, body, error });
      socket.close();
    };
    const timer = setTimeout(() => end('timeout', '', `no echo within ${timeoutMs} ms`), timeoutMs);
    // A connected socket hears of ICMP errors.
    socket.connect(port, address, () => {
      local = formatPeer(socket.address().address, socket.address().port);
      socket.send(line);
    });
    socket.once('message', (bytes) => {
      const body = bytes.toString('utf8');
      if (body === line) end('ok', body);
      else end('error', body, 'the echo differs from what was sent');
    });
    socket.once('error', (error) => end(outcomeOf(error), '', error.message));
  });
}

function outcomeOf(error: Error): EchoReport['outcome'] {
  const code = 'code' in error ? error.code : undefined;
  if (code === 'ECONNREFUSED') return 'refused';
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'reset';
  return code === 'ETIMEDOUT' ? 'timeout' : 'error';
}
