import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from '../kernel/http.ts';
import { type Endpoint, formatEndpoint } from './address.ts';
import { BindError } from './bind-error.ts';
import type { Logger } from './log.ts';

/** What one request is answered with. */
export interface HttpAnswer {
  readonly status: number;
  readonly contentType?: string;
  readonly body: string;
}

export type HttpHandler = (request: IncomingMessage, url: URL) => HttpAnswer | Promise<HttpAnswer>;

export interface HttpEndpointOptions {
  /** `admin`, `readiness`: for the log. */
  readonly component: string;
  readonly addresses: readonly Endpoint[];
  readonly handler: HttpHandler;
  readonly log: Logger;
}

const HEADER_TIMEOUT_MS = 2000;
const MAX_HEADER_BYTES = 8192;

/** A small HTTP/1.1 server of the process itself, on one or more addresses. */
export class HttpEndpoint implements Disposable {
  readonly #options: HttpEndpointOptions;
  readonly #servers: { readonly server: Server; readonly address: string }[] = [];

  private constructor(options: HttpEndpointOptions) {
    this.#options = options;
  }

  /**
   * Listens on all addresses. An IPv6 one that the machine does not have is passed over.
   * @throws BindError
   */
  static async open(options: HttpEndpointOptions): Promise<HttpEndpoint> {
    const endpoint = new HttpEndpoint(options);
    try {
      for (const at of options.addresses) await endpoint.#listen(at);
    } catch (error) {
      endpoint[Symbol.dispose]();
      throw error;
    }
    return endpoint;
  }

  /** Stops accepting; requests under way are finished. */
  [Symbol.dispose](): void {
    const { log, component } = this.#options;
    for (const { server, address } of this.#servers.splice(0)) {
      server.close();
      server.closeIdleConnections();
      log.info('hyper_util', 'listener drained', { address: { bare: address }, component });
    }
  }

  async #listen(at: Endpoint): Promise<void> {
    const { log, component } = this.#options;
    const address = formatEndpoint(at);
    const options = { headersTimeout: HEADER_TIMEOUT_MS, maxHeaderSize: MAX_HEADER_BYTES };
    const server = createServer(
      options,
      (request, response) => void this.#serve(request, response),
    );
    // A client that half-closed after its request still gets the answer (as from hyper).
    Object.assign(server, { httpAllowHalfOpen: true });
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host: at.ip, port: at.port, backlog: 1024 }, resolve);
      });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (at.ip === '::1' && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT')) return;
      throw new BindError(address, error);
    }
    this.#servers.push({ server, address });
    log.info('hyper_util', 'listener established', { address: { bare: address }, component });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // No request of these endpoints has a body that matters.
    request.resume();
    try {
      const url = new URL(request.url ?? '/', 'http://localhost');
      send(response, await this.#options.handler(request, url));
    } catch (error) {
      send(response, { status: 500, body: error instanceof Error ? error.message : String(error) });
    }
  }
}

function send(response: ServerResponse, { status, body, contentType }: HttpAnswer): void {
  response.writeHead(status, {
    'content-type': contentType ?? 'text/plain',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}
