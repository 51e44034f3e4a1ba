import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { asError, errorFromWire, LabError, type ErrorOnTheWire } from './errors.ts';
import { JsonLines, toJsonLine } from './json-lines.ts';
import {
  PROTOCOL_VERSION,
  type ControlMethod,
  type Hello,
  type ParamsOf,
  type ResultOf,
} from './protocol.ts';

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** One connection to a supervisor. It does not keep the process alive while nothing is asked. */
export class ControlClient implements Disposable {
  readonly lab: string;
  /** Pid of the supervisor in the namespace this process lives in. */
  readonly supervisorPid: number;
  readonly #socket: Socket;
  readonly #waiting: Map<number, Waiting>;
  #nextId = 1;

  private constructor(socket: Socket, hello: Hello, pid: number, waiting: Map<number, Waiting>) {
    this.#socket = socket;
    this.#waiting = waiting;
    this.lab = hello.lab;
    this.supervisorPid = pid;
  }

  /**
   * @param peerPid Tells the pid at the other end of a connected socket (`SO_PEERCRED`).
   * @throws LabError LAB_NOT_RUNNING when nobody listens, LAB_PROTOCOL for another version.
   */
  static async connect(
    name: string,
    path: string,
    peerPid: (socket: Socket) => number,
  ): Promise<ControlClient> {
    const socket = connect(path);
    try {
      await once(socket, 'connect');
    } catch (cause) {
      throw notRunning(name, cause);
    }
    const pid = peerPid(socket);
    const waiting = new Map<number, Waiting>();
    const hello = await readHello(socket, name, waiting);
    socket.unref();
    return new ControlClient(socket, hello, pid, waiting);
  }

  /** @throws LabError what the supervisor threw, or LAB_SUPERVISOR_DIED when it went away. */
  async call<M extends ControlMethod>(method: M, params: ParamsOf<M>): Promise<ResultOf<M>> {
    const id = this.#nextId++;
    this.mustLive();
    this.#socket.ref();
    try {
      return (await new Promise<unknown>((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject });
        this.#socket.write(toJsonLine({ id, method, params }));
      })) as ResultOf<M>;
    } finally {
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#socket.unref();
    }
  }

  /**
   * For whoever is about to use the supervisor's pid: while the connection stands, the pid is its.
   *
   * @throws LabError LAB_SUPERVISOR_DIED
   */
  mustLive(): void {
    if (this.#socket.destroyed) throw died(this.lab);
  }

  /** Resolves when the supervisor has gone away, or at once when it has. */
  async closed(): Promise<void> {
    if (this.#socket.closed) return;
    this.#socket.ref();
    // Not `once` of node:events: a supervisor that was killed resets the socket, and that is an end too.
    await new Promise((resolve) => this.#socket.once('close', resolve));
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

function readHello(socket: Socket, name: string, waiting: Map<number, Waiting>): Promise<Hello> {
  const lines = new JsonLines();
  return new Promise((resolve, reject) => {
    let isGreeted = false;
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const value of lines.push(chunk)) {
          if (isGreeted) settle(waiting, value);
          else resolve(checkHello(value, name));
          isGreeted = true;
        }
      } catch (error) {
        reject(asError(error));
        socket.destroy();
      }
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      reject(died(name));
      for (const one of waiting.values()) one.reject(died(name));
    });
  });
}

function checkHello(value: unknown, name: string): Hello {
  const hello = value as Partial<Hello>;
  if (hello.protocol === PROTOCOL_VERSION && typeof hello.lab === 'string') return hello as Hello;
  throw new LabError(
    'LAB_PROTOCOL',
    `Cannot talk to lab "${name}": it speaks protocol ${String(hello.protocol)}, ${PROTOCOL_VERSION} is wanted`,
    { hint: 'The lab was started by another version of this program; stop it with that one' },
  );
}

function settle(waiting: Map<number, Waiting>, value: unknown): void {
  const { id, result, error } = value as { id?: number; result?: unknown; error?: ErrorOnTheWire };
  const one = waiting.get(id ?? -1);
  if (error) one?.reject(errorFromWire(error));
  else one?.resolve(result);
}

function notRunning(name: string, cause: unknown): LabError {
  return new LabError('LAB_NOT_RUNNING', `Cannot reach lab "${name}": it does not run`, {
    cause,
    hint: 'Start it with "up", or list what runs with "status"',
  });
}

function died(name: string): LabError {
  return new LabError(
    'LAB_SUPERVISOR_DIED',
    `Cannot hear from lab "${name}": its supervisor has ended`,
  );
}
