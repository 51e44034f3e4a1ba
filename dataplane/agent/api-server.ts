import { lstatSync, rmSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { createServer } from '../kernel/http.ts';
import {
  parseCmdAdd,
  parseCmdAdds,
  parseEnrolRequest,
  parseLeaveRequest,
  parsePodRecord,
  parsePodRecords,
  parseZtunnelReport,
} from './api-schema.ts';
import { AgentInputError } from './errors.ts';
import { toFailure } from './failures.ts';
import type { Agent } from './agent.ts';
import type { CmdAdd } from './api.ts';
import { PodRecords } from './pod-records.ts';
import { Slots } from './turns.ts';

const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** Of many pods that are added together: each waits for its ack behind those before it. */
const ADDED_AT_ONCE = 16;

type Handler = (body: unknown) => Promise<unknown>;

/** The plugin socket: `api.ts` says what is spoken there. */
export class ApiServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #log: Logger;

  private constructor(agent: Agent, log: Logger) {
    this.#log = log;
    this.#handlers = handlersOf(agent, new PodRecords());
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  /** Listens at `path`, taking the place of a socket that an earlier agent left. */
  static async listen(path: string, agent: Agent, log: Logger): Promise<ApiServer> {
    if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) rmSync(path);
    const server = new ApiServer(agent, log);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject);
      server.#server.listen(path, resolve);
    });
    return server;
  }

  /** No new requests; those under way are cut off. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const verb = `${request.method} ${request.url}`;
      const handler = this.#handlers.get(verb);
      if (handler === undefined) {
        const error = `Cannot answer "${verb}": no such verb`;
        send(response, 404, { error, code: 'DATAPLANE_AGENT_NO_SUCH_VERB', retryable: false });
        return;
      }
      const body = request.method === 'POST' ? await readJson(request) : undefined;
      send(response, 200, (await handler(body)) ?? {});
    } catch (error) {
      const { statusCode, body } = toFailure(error);
      this.#log.warn({ url: request.url, statusCode, fault: body }, 'request failed');
      send(response, statusCode, body);
    }
  }
}

function handlersOf(agent: Agent, records: PodRecords): ReadonlyMap<string, Handler> {
  const slots = new Slots(ADDED_AT_ONCE);
  const add = async (event: CmdAdd): Promise<void> => {
    const request = await records.enrolRequest(event);
    if (request !== undefined) await agent.enrol(request);
  };
  const addAll = async (events: readonly CmdAdd[]): Promise<void> => {
    const ends = await Promise.allSettled(events.map((event) => slots.run(() => add(event))));
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  };
  return new Map<string, Handler>([
    ['POST /enrol', async (body) => agent.enrol(parseEnrolRequest(body))],
    ['POST /leave', async (body) => agent.leave(parseLeaveRequest(body))],
    ['POST /ztunnel', async (body) => agent.ztunnel?.(parseZtunnelReport(body))],
    ['POST /reconcile', async () => agent.reconcile()],
    ['POST /announce', async (body) => records.set(parsePodRecord(body))],
    [
      'POST /announce-all',
      async (body) => parsePodRecords(body).forEach((pod) => records.set(pod)),
    ],
    ['POST /cmdadd', async (body) => add(parseCmdAdd(body))],
    ['POST /cmdadd-all', async (body) => addAll(parseCmdAdds(body))],
    ['GET /pods', async () => agent.status().pods],
    ['GET /status', async () => agent.status()],
  ]);
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) {
      throw new AgentInputError(`Cannot read request: over ${MAX_BODY_BYTES} bytes`);
    }
    parts.push(part);
  }
  const text = Buffer.concat(parts).toString('utf8');
  try {
    return text === '' ? {} : JSON.parse(text);
  } catch (error) {
    throw new AgentInputError(`Cannot read request: no JSON, ${(error as Error).message}`);
  }
}

function send(response: ServerResponse, statusCode: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(statusCode, { 'content-type': 'application/json' });
  response.end(text);
}
