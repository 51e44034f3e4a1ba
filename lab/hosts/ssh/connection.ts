import type { Readable, Writable } from 'node:stream';
import type { Client, ClientChannel } from 'ssh2';
import { SshError } from './errors.ts';

/** How a program over there ended. */
export interface RemoteEnd {
  /** Undefined when a signal ended it, or when the connection was lost before anybody told. */
  readonly exitCode: number | undefined;
  /** Without `SIG`. */
  readonly signal: string | undefined;
}

/** A program that runs over there. */
export interface RemoteProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles when all that it said has come, too. */
  readonly ended: Promise<RemoteEnd>;
  resize(size: TerminalSize): void;
}

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** A terminal that a program over there gets. */
export interface Terminal extends TerminalSize {
  readonly type: string;
}

/** What a program that has ended had said. */
export interface RemoteAnswer extends RemoteEnd {
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** An open connection to a machine. Ends with its disposal. */
export class Connection implements AsyncDisposable {
  readonly #client: Client;
  readonly #closed: Promise<void>;
  /** Aborts, with {@link SshError}, when the connection ends before its disposal. */
  readonly lost: AbortSignal;
  #isWanted = true;

  constructor(client: Client, host: string, signal?: AbortSignal) {
    this.#client = client;
    signal?.addEventListener('abort', () => client.destroy(), { once: true });
    this.#closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
    const lost = new AbortController();
    this.lost = lost.signal;
    let cause: Error | undefined;
    client.on('error', (error) => (cause = error));
    client.on('close', () => {
      if (!this.#isWanted) return;
      const why = cause === undefined ? 'the other end closed it' : cause.message;
      const text = `Lost the connection to "${host}": ${why}, an open one was wished`;
      lost.abort(new SshError('LAB_SSH_LOST', text, { cause }));
    });
  }

  /** Starts a command, which the login shell of the user over there reads. */
  async start(command: string, terminal?: Terminal): Promise<RemoteProcess> {
    const pty =
      terminal === undefined
        ? {}
        : { pty: { rows: terminal.rows, cols: terminal.columns, term: terminal.type } };
    const channel = await new Promise<ClientChannel>((resolve, reject) => {
      const fail = (): void => reject(this.lost.reason as Error);
      if (this.lost.aborted) return fail();
      this.lost.addEventListener('abort', fail, { once: true });
      this.#client.exec(command, pty, (error, opened) => {
        this.lost.removeEventListener('abort', fail);
        if (error) reject(channelFault(error));
        else resolve(opened);
      });
    });
    return asProcess(channel);
  }

  /** Runs a command to its end. */
  async run(command: string, input?: Readable | string | Buffer): Promise<RemoteAnswer> {
    const remote = await this.start(command);
    // One that ends before it has read all tells why with its exit code.
    remote.stdin.on('error', () => {});
    if (input === undefined || typeof input === 'string' || Buffer.isBuffer(input)) {
      remote.stdin.end(input);
    } else {
      input.pipe(remote.stdin);
    }
    const [stdout, stderr, end] = await Promise.all([
      bytesOf(remote.stdout),
      bytesOf(remote.stderr),
      remote.ended,
    ]);
    if (this.lost.aborted) throw this.lost.reason as Error;
    return { ...end, stdout, stderr: stderr.toString() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isWanted = false;
    this.#client.end();
    const patience = setTimeout(() => this.#client.destroy(), 2000);
    await this.#closed;
    clearTimeout(patience);
  }
}

function asProcess(channel: ClientChannel): RemoteProcess {
  let end: RemoteEnd = { exitCode: undefined, signal: undefined };
  channel.on('exit', (code: number | null, signal?: string) => {
    end = { exitCode: code ?? undefined, signal };
  });
  // The exit may be told before the last of the output.
  const ended = new Promise<RemoteEnd>((resolve) => channel.once('close', () => resolve(end)));
  return {
    stdin: channel,
    stdout: channel,
    stderr: channel.stderr,
    ended,
    resize: ({ rows, columns }) => channel.setWindow(rows, columns, 0, 0),
  };
}

async function bytesOf(stream: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function channelFault(cause: Error): SshError {
  return new SshError(
    'LAB_SSH_DENIED',
    `Cannot start a program over there: ${cause.message}, a session was wished`,
    { hint: 'sshd there needs MaxSessions of 3 or more, and no ForceCommand.', cause },
  );
}
