import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { reapOrphans } from '../../dataplane/kernel/process.ts';

/** Time Node takes at most to read the status of a child of its own that ended first. */
const SECOND_LOOK_MS = 20;

/**
 * Reaps what PID 1 inherits: processes whose parents ended. The statuses of children that Node
 * started, in whatever module, are left to it: libuv never reports a child whose status somebody
 * else has read, so each one is noted when it is made (diagnostics channel `child_process`).
 * Has to exist before the first child is started.
 */
export class OrphanReaper implements Disposable {
  readonly #own = new Set<ChildProcess>();
  readonly #onMade = (message: unknown): void =>
    this.#note((message as { process: ChildProcess }).process);
  readonly #onEnded = (): void => this.#reap();

  constructor() {
    subscribe('child_process', this.#onMade);
    process.on('SIGCHLD', this.#onEnded);
  }

  #note(child: ChildProcess): void {
    this.#own.add(child);
    const forget = (): void => {
      this.#own.delete(child);
      this.#reap();
    };
    child.once('exit', forget);
    child.once('error', forget);
  }

  #reap(): void {
    reapOrphans(this.#ownPids());
    // A child of Node's own that has not been read yet hides what ended after it.
    setTimeout(() => reapOrphans(this.#ownPids()), SECOND_LOOK_MS).unref();
  }

  #ownPids(): Set<number> {
    const pids = new Set<number>();
    for (const { pid } of this.#own) if (pid !== undefined) pids.add(pid);
    return pids;
  }

  [Symbol.dispose](): void {
    unsubscribe('child_process', this.#onMade);
    process.off('SIGCHLD', this.#onEnded);
  }
}
