import { createHash } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from '../../../dataplane/kernel/http.ts';
import { CANARY_HEADER, findCanary } from '../canary.ts';
import { formatPeer, type AppContext } from './context.ts';
import { patternHash, patternStream } from './pattern.ts';

const MAX_BODY_BYTES = 1024 * 1024;
const MAX_PATTERN_BYTES = 4 * 1024 ** 3;
const MAX_DELAY_MS = 60_000;

type Handler = (call: Call) => void | Promise<void>;

interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly context: AppContext;
  /** What follows the first word of the path: `/bytes/100` has `100`. */
  readonly argument: string;
  readonly canary: string | undefined;
}

const HANDLERS: Readonly<Record<string, Handler>> = {
  '': about,
  get: about,
  headers: about,
  ip: about,
  hostname: (call) => sendText(call, `${call.context.pod}\n`),
  status: (call) => sendStatus(call),
  bytes: sendBytes,
  delay: sendLate,
  echo: sendBack,
  upload: hashUpload,
  reset: (call) => void call.request.socket.resetAndDestroy(),
};

/**
 * A small httpbin: `/get` `/headers` `/ip` `/hostname` `/status/N` `/bytes/N` `/delay/SECONDS`
 * `POST /echo` `POST /upload` (answers with its SHA-256) `/reset` (answers with a RST). Every JSON
 * answer carries `origin` (the peer's address as the socket saw it), `pod`, `version` and the canary.
 * The server does not listen yet.
 */
export function createHttpApp(context: AppContext): Server {
  return createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, (request, response) => {
    const [path = '', query = ''] = (request.url ?? '/').split('?', 2);
    const [, word = '', argument = ''] = path.split('/', 3);
    const canary = findCanary(String(request.headers[CANARY_HEADER] ?? '')) ?? findCanary(query);
    observe(request, context, path, canary);
    response.setHeader('server', `ambient-lab ${context.version}`);
    if (canary !== undefined) response.setHeader(CANARY_HEADER, canary);
    const handler = HANDLERS[word] ?? notFound;
    Promise.resolve(handler({ request, response, context, argument, canary })).catch(() =>
      response.destroy(),
    );
  });
}

function observe(
  request: IncomingMessage,
  context: AppContext,
  path: string,
  canary: string | undefined,
): void {
  const { remoteAddress, remotePort, localAddress, localPort } = request.socket;
  const peer = formatPeer(remoteAddress, remotePort);
  context.observe({ app: 'http', peer, local: formatPeer(localAddress, localPort), canary, path });
}

function about(call: Call): void {
  sendJson(call, 200, {
    method: call.request.method,
    url: `http://${call.request.headers.host ?? ''}${call.request.url ?? ''}`,
    headers: call.request.headers,
  });
}

function notFound(call: Call): void {
  call.request.resume();
  sendJson(call, 404, { error: `no such path: ${call.request.url ?? ''}` });
}

function sendStatus(call: Call): void {
  const status = Number(call.argument);
  const isStatus = Number.isInteger(status) && status >= 200 && status <= 599;
  sendJson(
    call,
    isStatus ? status : 400,
    isStatus ? {} : { error: 'a status of 200–599 is wanted' },
  );
}

function sendBytes(call: Call): void {
  const total = Number(call.argument);
  if (!Number.isInteger(total) || total < 0 || total > MAX_PATTERN_BYTES) {
    return sendJson(call, 400, { error: `a number of 0–${MAX_PATTERN_BYTES} is wanted` });
  }
  call.response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': total,
    'x-sha256': patternHash(total),
  });
  const source = patternStream(total);
  call.response.once('close', () => source.destroy());
  source.pipe(call.response);
}

async function sendLate(call: Call): Promise<void> {
  const waitMs = Math.min(MAX_DELAY_MS, Math.max(0, Number(call.argument) * 1000 || 0));
  await new Promise((resolve) => setTimeout(resolve, waitMs));
  about(call);
}

async function sendBack(call: Call): Promise<void> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of call.request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) return sendJson(call, 413, { error: 'more than 1 MB' });
    parts.push(part);
  }
  sendJson(call, 200, { method: call.request.method, data: Buffer.concat(parts).toString('utf8') });
}

async function hashUpload(call: Call): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const part of call.request as AsyncIterable<Buffer>) {
    bytes += part.length;
    hash.update(part);
  }
  sendJson(call, 200, { bytes, sha256: hash.digest('hex') });
}

function sendText(call: Call, text: string): void {
  call.response.writeHead(200, { 'content-type': 'text/plain' });
  call.response.end(text);
}

function sendJson(call: Call, status: number, value: Record<string, unknown>): void {
  const { remoteAddress, remotePort } = call.request.socket;
  const body = {
    ...value,
    origin: (remoteAddress ?? '').replace(/^::ffff:/, ''),
    originPort: remotePort,
    pod: call.context.pod,
    version: call.context.version,
    canary: call.canary,
  };
  call.response.writeHead(status, { 'content-type': 'application/json' });
  const hasBody = call.request.method !== 'HEAD' && status !== 204 && status !== 304;
  call.response.end(hasBody ? `${JSON.stringify(body, null, 2)}\n` : undefined);
}
