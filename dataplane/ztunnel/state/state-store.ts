import type { WorkloadIdentity } from '../config.ts';
import { MeshState } from './mesh-state.ts';
import type { StaticState } from './static-file.ts';
import type { Workload } from './workload.ts';

/** The state in force and the means to wait for the next one. */
export class StateStore {
  readonly #node: string | undefined;
  readonly #listeners = new Set<() => void>();
  #loaded: StaticState = { workloads: [], policies: [], services: [] };
  #current = new MeshState(this.#loaded);

  /** `node`: local workloads are sought on that node only; undefined for all. */
  constructor(node: string | undefined) {
    this.#node = node;
  }

  get current(): MeshState {
    return this.#current;
  }

  /** What was loaded, before endpoints were spread over the services. */
  get loaded(): StaticState {
    return this.#loaded;
  }

  /** Puts a whole new state in force, then tells the listeners. */
  replace(loaded: StaticState): void {
    this.#loaded = loaded;
    this.#current = new MeshState(loaded);
    for (const listener of [...this.#listeners]) listener();
  }

  /** Calls `listener` after each change until the result is disposed of. */
  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** The workload of that name on this node, if known now. */
  local(id: WorkloadIdentity): Workload | undefined {
    return this.#current.localWorkload(id, this.#node);
  }

  /** The workload of that name on this node; waits for it up to `timeoutMs`, then undefined. */
  async waitForLocal(
    id: WorkloadIdentity,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<Workload | undefined> {
    const now = this.local(id);
    if (now || signal?.aborted) return now;
    return new Promise((resolve) => {
      const finish = (workload: Workload | undefined): void => {
        clearTimeout(timer);
        watch[Symbol.dispose]();
        signal?.removeEventListener('abort', onAbort);
        resolve(workload);
      };
      const onAbort = (): void => finish(undefined);
      const timer = setTimeout(() => finish(undefined), timeoutMs).unref();
      const watch = this.onChange(() => {
        const found = this.local(id);
        if (found) finish(found);
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}
