/**
 * Program: PID 1 of one lab, in PID, mount and network namespaces of its own.
 *
 *     supervisor <lab>      order (`StartOrder`) on standard input, progress on standard output,
 *                           the lab's lock as descriptor 3, held by nobody else
 *
 * However it ends, the kernel ends every program of the lab and frees every namespace.
 */
import { writeFileSync } from 'node:fs';
import { raiseFileLimit, setProcessName } from '../../dataplane/kernel/process.ts';
import { createHandlers } from './control-handlers.ts';
import { ControlServer } from './control-server.ts';
import { asError, errorToWire, LabError } from './errors.ts';
import { JsonLines, toJsonLine } from './json-lines.ts';
import { OrphanReaper } from './orphan-reaper.ts';
import { labPaths } from './paths.ts';
import type { StartLine, StartOrder } from './protocol.ts';
import { enterSandbox } from './sandbox.ts';
import { World } from './world.ts';

/** Time for an answer to reach its client before everything ends. */
const LAST_WORDS_MS = 20;

process.stdout.on('error', () => {});
process.stderr.on('error', () => {});
/** Settles when the lab is up; its end is the process's. */
export const finished = supervise(process.argv[2] ?? '').catch((error: unknown) => {
  tell({ kind: 'failed', error: errorToWire(error) });
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  setTimeout(() => process.exit(1), LAST_WORDS_MS);
});

async function supervise(name: string): Promise<void> {
  if (process.pid !== 1)
    throw new LabError('LAB_BUG', 'Cannot supervise: PID 1 of a namespace is wanted');
  setProcessName('ambient-lab');
  raiseFileLimit();
  const paths = labPaths(name);
  let isReady = false;
  const order = await readOrder(() => isReady);
  writeFileSync(paths.plan, JSON.stringify(order.plan), { mode: 0o600 });
  enterSandbox(order.plan, paths.directory, order.envoy);
  using _reaper = new OrphanReaper();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, end);
  const world = new World({
    order,
    paths,
    onProgress: (progress) => tell({ kind: 'progress', progress }),
  });
  await using control = new ControlServer(createHandlers(world, end), { lab: name });
  await control.listen(paths.control);
  await world.start();
  isReady = true;
  tell({ kind: 'ready' });
  // Only `end` and the kernel end it from here on.
  await new Promise<never>(() => {});
}

/**
 * The first line of standard input. Its end is the end of the lab: always for a tied one, and for a
 * detached one until `isReady`, since whoever ordered it has died before it could be told.
 */
function readOrder(isReady: () => boolean): Promise<StartOrder> {
  const lines = new JsonLines();
  return new Promise((resolve, reject) => {
    let order: StartOrder | undefined;
    process.stdin.on('data', (chunk: Buffer) => {
      try {
        order ??= lines.push(chunk)[0] as StartOrder | undefined;
      } catch (error) {
        reject(asError(error));
      }
      if (order) resolve(order);
    });
    process.stdin.on('end', () => {
      if (order?.detached !== true || !isReady()) end();
    });
  });
}

/** An answer that is due now still leaves; who misses it sees the connection end. */
function end(): void {
  setImmediate(() => process.exit(0));
}

function tell(line: StartLine): void {
  process.stdout.write(toJsonLine(line));
}
