import type { CertificateStore } from '../identity/certificate-store.ts';
import { formatSpiffe, type Spiffe } from '../identity/spiffe.ts';
import type { StateStore } from './state/state-store.ts';

const PAUSE_MS = 5;

/**
 * Keeps certificates ready for the mesh workloads of this node, so that no first connection waits for
 * one, and forgets those of identities that left it (ztunnel `src/cert_fetcher.rs`).
 */
export class CertificatePrefetch implements Disposable {
  readonly #certificates: CertificateStore;
  readonly #store: StateStore;
  readonly #node: string | undefined;
  readonly #watch: Disposable;
  #wanted = new Map<string, Spiffe>();
  /** Those of the wanted that nobody has fetched yet. */
  readonly #queue = new Map<string, Spiffe>();
  #timer: NodeJS.Timeout | undefined;

  constructor(certificates: CertificateStore, store: StateStore, node: string | undefined) {
    this.#certificates = certificates;
    this.#store = store;
    this.#node = node;
    this.#watch = store.onChange(() => this.#update());
    this.#update();
  }

  [Symbol.dispose](): void {
    this.#queue.clear();
    clearTimeout(this.#timer);
    this.#watch[Symbol.dispose]();
  }

  #update(): void {
    const wanted = new Map<string, Spiffe>();
    for (const workload of this.#store.current.workloads.values()) {
      const { node, protocol, nativeTunnel, trustDomain, namespace, serviceAccount } = workload;
      if (this.#node !== undefined && node !== this.#node) continue;
      if (protocol !== 'HBONE' && !nativeTunnel) continue;
      const identity = { trustDomain, namespace, serviceAccount };
      wanted.set(formatSpiffe(identity), identity);
    }
    for (const [key, identity] of wanted) {
      if (!this.#wanted.has(key)) this.#queue.set(key, identity);
    }
    for (const [key, identity] of this.#wanted) {
      if (!wanted.has(key)) {
        this.#queue.delete(key);
        this.#certificates.forget(identity);
      }
    }
    this.#wanted = wanted;
    this.#timer ??= setTimeout(() => this.#fetchNext(), 0).unref();
  }

  /** One after another, so that pods that come and requests that wait go before them. */
  #fetchNext(): void {
    this.#timer = undefined;
    const [next] = this.#queue;
    if (next === undefined) return;
    const [key, identity] = next;
    this.#queue.delete(key);
    // A failure is kept by the store, retried there, and told to whoever asks.
    const fetched = this.#certificates.get(identity).catch(() => undefined);
    void fetched.then(() => {
      this.#timer ??= setTimeout(() => this.#fetchNext(), PAUSE_MS).unref();
    });
  }
}
