import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import type { DataPath } from '../../hbone/api.ts';
import { localAddress } from '../../kernel/sockets.ts';
import { decodeDns, type DnsMessage, encodeDns } from '../../wire/dns.ts';
import { canonicalIp, type Endpoint, formatEndpoint, isIpv6 } from '../address.ts';
import { withWholeNames } from './whole-names.ts';
import type { SocketFactory } from '../socket-factory.ts';
import { frameMessage, MessageCutter } from './tcp-framing.ts';

export interface ForwarderOptions {
  readonly sockets: SocketFactory;
  readonly dataPath: DataPath;
  /** Asked anew for each query, so that a changed file counts. */
  readonly servers: () => readonly Endpoint[];
  /** Local UDP ports of the questions under way: one that comes back to the proxy has looped. */
  readonly asking: Set<number>;
  /** Of one try of one server; default 5,000. */
  readonly timeoutMs?: number;
}

/** No server answered. */
export class ForwardError extends Error {
  override readonly name = 'ForwardError';
  readonly code = 'DATAPLANE_DNS_FORWARD';
}

const TIMEOUT_MS = 5000;
const ATTEMPTS = 2;

/**
 * Asks the process's own servers through sockets of the pod (in its netns, with the mark, so that
 * nothing captures them): UDP first, TCP when the answer was cut.
 * @throws ForwardError when none answers
 */
export async function forwardQuery(
  options: ForwarderOptions,
  query: DnsMessage,
  signal: AbortSignal,
): Promise<DnsMessage> {
  const asked: DnsMessage = {
    ...query,
    id: randomInt(0x10000),
    isRecursionDesired: true,
    answers: [],
    authorities: [],
    additionals: [],
    edns: undefined,
  };
  let cause: unknown = new Error('no server is configured');
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    for (const server of options.servers()) {
      if (signal.aborted) throw new ForwardError('Cannot forward: the proxy stops');
      try {
        return await askServer(options, server, asked, signal);
      } catch (error) {
        cause = error;
      }
    }
  }
  throw new ForwardError(`Cannot forward "${asked.questions[0]?.name}": no answer`, { cause });
}

async function askServer(
  options: ForwarderOptions,
  server: Endpoint,
  query: DnsMessage,
  signal: AbortSignal,
): Promise<DnsMessage> {
  const answer = await limited(options, signal, (limit) => askUdp(options, server, query, limit));
  if (!answer.isTruncated) return answer;
  return limited(options, signal, (limit) => askTcp(options, server, query, limit));
}

async function limited<T>(
  { timeoutMs = TIMEOUT_MS }: ForwarderOptions,
  signal: AbortSignal,
  ask: (limit: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const stop = (): void => abort.abort(new ForwardError('the proxy stops'));
  signal.addEventListener('abort', stop, { once: true });
  const late = new ForwardError(`no answer within ${timeoutMs} ms`);
  const timer = setTimeout(() => abort.abort(late), timeoutMs);
  try {
    return await ask(abort.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    // Ends whatever the question left open.
    abort.abort();
  }
}

function askUdp(
  { sockets, asking }: ForwarderOptions,
  server: Endpoint,
  query: DnsMessage,
  limit: AbortSignal,
): Promise<DnsMessage> {
  return new Promise((resolve, reject) => {
    const fd = sockets.outgoingUdp(server);
    const { port: ownPort } = localAddress(fd);
    asking.add(ownPort);
    const socket = createSocket(isIpv6(server.ip) ? 'udp6' : 'udp4');
    limit.addEventListener('abort', () => {
      asking.delete(ownPort);
      socket.close();
      reject(limit.reason as Error);
    });
    socket.on('error', reject);
    socket.on('message', (bytes, { address, port }) => {
      const from = { ip: canonicalIp(address) ?? address, port };
      const answer = formatEndpoint(from) === formatEndpoint(server) && tryDecode(bytes);
      if (answer && answersTo(query, answer)) resolve(answer);
    });
    socket.bind({ fd }, () => {
      if (!limit.aborted) socket.send(encodeDns(query), server.port, server.ip);
    });
  });
}

async function askTcp(
  { sockets, dataPath }: ForwarderOptions,
  server: Endpoint,
  query: DnsMessage,
  limit: AbortSignal,
): Promise<DnsMessage> {
  const connection = await dataPath.connect(sockets.connectTcp(server), server, { signal: limit });
  const cutter = new MessageCutter();
  return new Promise((resolve, reject) => {
    limit.addEventListener('abort', () => {
      connection.close();
      reject(limit.reason as Error);
    });
    connection.receive({
      onBytes: (bytes) => {
        for (const message of cutter.push(bytes)) {
          const answer = tryDecode(message);
          if (answer && answersTo(query, answer)) resolve(answer);
        }
      },
      onEnd: () => reject(new ForwardError('the server closed the connection')),
      onError: reject,
    });
    connection.write(frameMessage(encodeDns(query)));
  });
}

function tryDecode(bytes: Buffer): DnsMessage | undefined {
  try {
    return withWholeNames(decodeDns(bytes), bytes);
  } catch {
    return undefined;
  }
}

/** Same id and question: anything else is a stray or a forged packet. */
function answersTo(query: DnsMessage, answer: DnsMessage): boolean {
  const [asked] = query.questions;
  const [echoed] = answer.questions;
  if (!answer.isResponse || answer.id !== query.id || !asked) return false;
  if (!echoed) return true;
  return echoed.type === asked.type && echoed.name.toLowerCase() === asked.name.toLowerCase();
}
