import { readFileSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from '../log.ts';
import type { StateStore } from './state-store.ts';
import { parseStaticFile } from './static-file.ts';

const SCOPE = 'xds:local_client';
/** Writers take several steps (create, write, rename): wait until they are done. */
const SETTLE_MS = 20;
/** How often the file is read where the kernel has no inotify instance to give (128 a user by default). */
const POLL_MS = 500;

/**
 * Keeps the store equal to a file: each change is parsed whole and swapped in; a bad file is logged
 * and leaves the old state in force. The directory is watched, so that a rename over the file counts;
 * where it cannot be watched, the file is read again and again.
 */
export class StateFileWatch implements Disposable {
  readonly #path: string;
  readonly #store: StateStore;
  readonly #log: Logger;
  readonly #stopWatching: () => void;
  #text: string;
  #timer: NodeJS.Timeout | undefined;

  /** Loads the file now. @throws as `readStaticState` */
  constructor(path: string, store: StateStore, log: Logger) {
    this.#path = path;
    this.#store = store;
    this.#log = log;
    this.#text = readFileSync(path, 'utf8');
    store.replace(parseStaticFile(path, this.#text));
    this.#stopWatching = this.#watch(dirname(path));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#stopWatching();
  }

  #watch(directory: string): () => void {
    try {
      const watcher = watch(directory, { persistent: false }, () => this.#settle());
      watcher.on('error', (error) =>
        this.#log.warn(SCOPE, 'local config watch failed', fault(error)),
      );
      return () => watcher.close();
    } catch (error) {
      this.#log.warn(SCOPE, 'local config cannot be watched, it is polled', fault(error));
      const poll = setInterval(() => this.#reload(), POLL_MS).unref();
      return () => clearInterval(poll);
    }
  }

  #settle(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#reload(), SETTLE_MS);
  }

  #reload(): void {
    try {
      const text = readFileSync(this.#path, 'utf8');
      if (text === this.#text) return;
      this.#text = text;
      const loaded = parseStaticFile(this.#path, text);
      this.#store.replace(loaded);
      this.#log.info(SCOPE, 'local config reloaded', {
        num_workloads: loaded.workloads.length,
        num_policies: loaded.policies.length,
      });
    } catch (error) {
      this.#log.warn(SCOPE, 'local config kept: the changed file cannot be used', fault(error));
    }
  }
}

function fault(error: unknown): { readonly error: string } {
  return { error: error instanceof Error ? error.message : String(error) };
}
