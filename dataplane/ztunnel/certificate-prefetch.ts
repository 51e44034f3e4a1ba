import type { CertificateStore } from '../identity/certificate-store.ts';
import { formatSpiffe, type Spiffe } from '../identity/spiffe.ts';
import type { StateStore } from './state/state-store.ts';

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

  constructor(certificates: CertificateStore, store: StateStore, node: string | undefined) {
    this.#certificates = certificates;
    this.#store = store;
    this.#node = node;
    this.#watch = store.onChange(() => this.#update());
    this.#update();
  }

  [Symbol.dispose](): void {
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
      // A failure is kept by the store, retried there, and told to whoever asks.
      if (!this.#wanted.has(key)) this.#certificates.get(identity).catch(() => undefined);
    }
    for (const [key, identity] of this.#wanted) {
      if (!wanted.has(key)) this.#certificates.forget(identity);
    }
    this.#wanted = wanted;
  }
}
