import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { errorToWire, LabError } from './errors.ts';
import { JsonLines, toJsonLine } from './json-lines.ts';
import {
  PROTOCOL_VERSION,
  type ControlMethod,
  type ControlRequest,
  type Hello,
  type ParamsOf,
  type ResultOf,
} from './protocol.ts';

/** What the supervisor does for each method. */
export type ControlHandlers = {
  readonly [M in ControlMethod]: (params: ParamsOf<M>) => Promise<ResultOf<M>> | ResultOf<M>;
};

/** The control socket of a lab: any number of clients, requests of one client run side by side. */
export class ControlServer implements AsyncDisposable {
  readonly #handlers: ControlHandlers;
  readonly #hello: Hello;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();

  constructor(handlers: ControlHandlers, who: Omit<Hello, 'protocol'>) {
    this.#handlers = handlers;
    this.#hello = { protocol: PROTOCOL_VERSION, ...who };
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /** Afterwards root, and nobody else, can connect to `path`. */
  async listen(path: string): Promise<void> {
    rmSync(path, { force: true });
    const before = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject).listen(path, resolve);
      });
    } finally {
      process.umask(before);
    }
    chmodSync(path, 0o600);
  }

  #serve(socket: Socket): void {
    const lines = new JsonLines();
    this.#clients.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#clients.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const value of lines.push(chunk)) void this.#answer(socket, value);
      } catch {
        socket.destroy();
      }
    });
    socket.write(toJsonLine(this.#hello));
  }

  async #answer(socket: Socket, value: unknown): Promise<void> {
    const request = readRequest(value);
    if (!request) {
      socket.destroy();
      return;
    }
    const { id } = request;
    try {
      const result = await this.#call(request);
      reply(socket, { id, result: result ?? {} });
    } catch (error) {
      reply(socket, { id, error: errorToWire(error) });
    }
  }

  async #call(request: ControlRequest): Promise<unknown> {
    const handlers = this.#handlers as Readonly<Record<string, (params: unknown) => unknown>>;
    if (!Object.hasOwn(handlers, request.method)) {
      throw new LabError('LAB_PROTOCOL', `Cannot do "${request.method}": no such method`);
    }
    return await handlers[request.method]?.(request.params);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#clients) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}

function readRequest(value: unknown): ControlRequest | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { id, method, params } = value as Partial<ControlRequest>;
  if (typeof id !== 'number' || typeof method !== 'string') return undefined;
  return { id, method, params: params ?? {} };
}

function reply(socket: Socket, answer: unknown): void {
  if (!socket.destroyed) socket.write(toJsonLine(answer));
}
