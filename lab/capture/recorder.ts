import { setPriority } from 'node:os';
import { raiseFileLimit, setProcessName } from '../../dataplane/kernel/process.ts';
import type { RecorderAnswer, RecorderProgress, RecorderRequest } from './recorder-protocol.ts';
import { RecorderSession } from './recorder-session.ts';
import type { Recording } from './layout.ts';

/** How long frames may stay in memory while little comes: bounds the memory of idle captures. */
const FLUSH_INTERVAL_MS = 1000;
/** Above the programs of the lab: a recorder that waits for its turn loses frames. */
const PRIORITY = -10;

/** One recorder process: answers requests on the IPC channel until `stop` or until that closes. */
class RecorderProgram {
  #session: RecorderSession | undefined;
  #flushing: NodeJS.Timeout | undefined;

  answer(request: RecorderRequest): RecorderAnswer {
    const { id } = request;
    try {
      return { id, result: this.#run(request) };
    } catch (error) {
      const { message, code } = error as { message: string; code?: string };
      return { id, error: code === undefined ? { message } : { message, code } };
    }
  }

  stop(): Recording | undefined {
    clearInterval(this.#flushing);
    const session = this.#session;
    this.#session = undefined;
    return session?.stop();
  }

  #run(request: RecorderRequest): RecorderProgress | Recording | undefined {
    if (isMethod(request, 'start')) return this.#start(request);
    if (isMethod(request, 'stop')) return this.stop();
    const session = this.#session;
    if (!session) throw new Error(`Cannot ${request.method}: no recording runs, wished one`);
    if (isMethod(request, 'addNetns')) session.addNetns(request.params);
    if (isMethod(request, 'removeNetns')) session.removeNetns(request.params);
    if (isMethod(request, 'rescan')) session.rescan();
    session.flush();
    return session.progress;
  }

  #start(request: RecorderRequest<'start'>): RecorderProgress {
    if (this.#session) throw new Error('Cannot start: a recording runs already, wished none');
    const session = new RecorderSession(request.params);
    this.#session = session;
    session.addNetns(request.params.netns);
    this.#flushing = setInterval(() => session.flush(), FLUSH_INTERVAL_MS);
    return session.progress;
  }
}

function isMethod<M extends RecorderRequest['method']>(
  request: RecorderRequest,
  method: M,
): request is RecorderRequest<M> {
  return request.method === method;
}

function main(): void {
  const program = new RecorderProgram();
  const finish = () => {
    program.stop();
    process.exit(0);
  };
  setProcessName('lab-recorder');
  raiseFileLimit();
  try {
    setPriority(PRIORITY);
  } catch {
    // Without the right to be preferred it records all the same.
  }
  process.on('message', (request: RecorderRequest) => {
    const answer = program.answer(request);
    process.send?.(answer, undefined, undefined, () => {
      if (request.method === 'stop') process.disconnect?.();
    });
  });
  process.once('disconnect', finish);
  process.once('SIGTERM', finish);
  // Ctrl-C reaches the whole group: whoever started the recorder decides when it stops.
  process.on('SIGINT', () => undefined);
}

main();
