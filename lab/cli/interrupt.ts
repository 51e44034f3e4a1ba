import { processStat } from '../hosts/process-stat.ts';
import { EXIT, Interrupted } from './exit.ts';

/** A second signal within this is the first one come by another way. */
const SAME_INTERRUPT_MS = 500;
const PARENT_WATCH_MS = 200;

/**
 * Calls for each SIGINT, SIGTERM or SIGHUP, with how many there have been. Ctrl-C in `npm run` comes
 * twice, from the terminal and from npm, and counts once. npm that is killed can pass nothing on: its
 * end counts, too, as SIGHUP.
 */
export function onInterrupt(act: (name: NodeJS.Signals, count: number) => void): void {
  let [count, countedAt] = [0, 0];
  const interrupt = (name: NodeJS.Signals): void => {
    if (count > 0 && performance.now() - countedAt <= SAME_INTERRUPT_MS) return;
    countedAt = performance.now();
    act(name, ++count);
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => interrupt(name));
  }
  if (process.env['npm_lifecycle_event'] !== undefined) onOrphaned(() => interrupt('SIGHUP'));
}

/**
 * Aborts, with {@link Interrupted}, at the first interrupt, so that the work ends in order; a later
 * one ends this process at once, and the kernel its lab.
 */
export function abortOnSignal(): AbortSignal {
  const controller = new AbortController();
  onInterrupt((name, count) => {
    if (count === 1) controller.abort(new Interrupted(name));
    else process.exit(new Interrupted(name).exitCode);
  });
  return controller.signal;
}

/**
 * A reader that has gone (`| head`) is no fault: what it does not want is thrown away, and the exit
 * code is that of the work. A disk that takes no output is one.
 */
export function toleratePipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', ({ code, message }: NodeJS.ErrnoException) => {
      if (code === 'EPIPE') return;
      // Only when all else has been said and done: a verb sets its own code before.
      process.on('exit', () => (process.exitCode = EXIT.cannotRun));
      if (stream === process.stdout) process.stderr.write(`Cannot write the result: ${message}\n`);
    });
  }
}

/** npm runs scripts through a shell, so that ours is the parent or the one above it. */
function onOrphaned(act: () => void): void {
  const family = ancestors();
  const watch = setInterval(() => {
    if (ancestors() === family) return;
    clearInterval(watch);
    act();
  }, PARENT_WATCH_MS);
  watch.unref();
}

function ancestors(): string {
  const parent = process.ppid;
  return `${parent} ${processStat(parent)?.parent ?? 'gone'}`;
}
