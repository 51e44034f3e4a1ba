import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { programArgv } from '../world/programs.ts';
import type { Recording } from './layout.ts';
import type {
  RecordedNetns,
  RecorderAnswer,
  RecorderMethods,
  RecorderProgress,
  RecorderRequest,
} from './recorder-protocol.ts';

/** A recorder that cannot do what was asked, or has ended. */
export class RecorderError extends Error {
  override readonly name = 'RecorderError';
  readonly code: 'LAB_RECORDER_REFUSED' | 'LAB_RECORDER_ENDED';
  /** Code of the fault inside the recorder (`ENOENT`, `DATAPLANE_KERNEL_EPERM`). */
  readonly reason: string | undefined;

  constructor(code: RecorderError['code'], message: string, reason?: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

export interface RecorderOptions {
  readonly netns: readonly RecordedNetns[];
  readonly dir: string;
  /** Bytes kept of each frame; default 262,144, which no frame exceeds. */
  readonly snapLength?: number;
  /** Receive buffer of each interface, default 32 MB; filled only as frames wait. */
  readonly bufferBytes?: number;
  /** A recorder program that the caller has started with an IPC channel; default: one is started. */
  readonly process?: ChildProcess;
}

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

const SNAP_LENGTH = 262_144;
const BUFFER_BYTES = 32 << 20;
/** Answers take milliseconds; a recorder silent for so long hangs. */
const ANSWER_TIMEOUT_MS = 60_000;

/** A running recorder process. Disposal without `stop` ends it; its files are then finished too. */
export class RecorderClient implements AsyncDisposable {
  readonly process: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<unknown>;
  #id = 0;
  #status: string | undefined;
  #ended: string | undefined;

  /** Takes over a recorder program with an IPC channel; use `startRecorder`. */
  constructor(program: ChildProcess) {
    this.process = program;
    this.#exited = once(program, 'exit').catch(() => undefined);
    program.on('message', (answer: RecorderAnswer) => this.#settle(answer));
    program.on('error', (error) => this.#end(error.message));
    program.on('exit', (code, signal) => {
      this.#status = signal ?? `status ${code}`;
    });
    // The last answer may still be in the channel when the process has gone: its end counts.
    program.on('disconnect', () => {
      void this.#exited.then(() => this.#end(`it ended with ${this.#status ?? 'no status'}`));
    });
  }

  /** Records these namespaces too, every frame from the moment this resolves. */
  addNetns(netns: readonly RecordedNetns[]): Promise<RecorderProgress> {
    return this.call('addNetns', netns);
  }

  /** Finishes the files of these namespaces; they can be deleted afterwards. */
  removeNetns(names: readonly string[]): Promise<RecorderProgress> {
    return this.call('removeNetns', names);
  }

  /** Resolves when every interface that exists now is recorded. */
  rescan(): Promise<RecorderProgress> {
    return this.call('rescan', null);
  }

  /** Resolves when every frame seen so far can be read from the files. */
  flush(): Promise<RecorderProgress> {
    return this.call('flush', null);
  }

  /** Ends the recording; every frame up to now is on disk. Resolves when the process is gone. */
  async stop(): Promise<Recording> {
    const recording = await this.call('stop', null);
    await this.#exited;
    return recording;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process.connected) this.process.disconnect();
    await this.#exited;
  }

  /** Sends one request. @throws RecorderError */
  call<M extends keyof RecorderMethods>(
    method: M,
    params: RecorderMethods[M][0],
  ): Promise<RecorderMethods[M][1]> {
    if (this.#ended !== undefined) return Promise.reject(endedError(method, this.#ended));
    const request: RecorderRequest<M> = { id: ++this.#id, method, params };
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#settle({ id: request.id, error: { message: 'it does not answer' } }),
        ANSWER_TIMEOUT_MS,
      );
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          then(value);
        };
      this.#waiting.set(request.id, { resolve: settle(resolve), reject: settle(reject) });
      this.process.send(request, (error) => {
        if (error) this.#end(error.message);
      });
    });
  }

  #settle(answer: RecorderAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (!waiting) return;
    if ('result' in answer) return waiting.resolve(answer.result as never);
    const { message, code } = answer.error;
    waiting.reject(new RecorderError('LAB_RECORDER_REFUSED', message, code));
  }

  #end(why: string): void {
    this.#ended ??= why;
    for (const [id, waiting] of this.#waiting) {
      this.#waiting.delete(id);
      waiting.reject(endedError('use the recorder', why));
    }
  }
}

/**
 * A recorder that has begun: every interface of `options.netns` is being recorded when this
 * resolves.
 *
 * @throws RecorderError LAB_RECORDER_REFUSED (a namespace is not there, no right to capture)
 */
export async function startRecorder(options: RecorderOptions): Promise<RecorderClient> {
  const client = new RecorderClient(options.process ?? spawnRecorder());
  try {
    await client.call('start', {
      netns: options.netns,
      dir: options.dir,
      snapLength: options.snapLength ?? SNAP_LENGTH,
      bufferBytes: options.bufferBytes ?? BUFFER_BYTES,
    });
    return client;
  } catch (error) {
    await client[Symbol.asyncDispose]();
    throw error;
  }
}

function spawnRecorder(): ChildProcess {
  const [command = process.execPath, ...args] = programArgv('recorder');
  return spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

function endedError(action: string, why: string): RecorderError {
  return new RecorderError('LAB_RECORDER_ENDED', `Cannot ${action}: ${why}, wished a running one`);
}
