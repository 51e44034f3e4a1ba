import type { CaClient, WorkloadCertificate } from './ca-client.ts';
import { formatSpiffe, type Spiffe } from './spiffe.ts';

/** State of one identity, as `/config_dump` shows it. */
export type CertificateState =
  | { readonly kind: 'initializing' }
  | { readonly kind: 'available'; readonly certificate: WorkloadCertificate }
  | { readonly kind: 'unavailable'; readonly error: Error };

export interface CertificateStoreOptions {
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** 0 to 1, for the jitter of retries. */
  readonly random?: () => number;
}

interface Entry {
  readonly identity: Spiffe;
  certificate?: WorkloadCertificate;
  error?: Error;
  pending?: Promise<WorkloadCertificate>;
  failures: number;
  timer?: NodeJS.Timeout;
}

const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 150_000;
const RETRY_JITTER = 0.2;
/** The longest delay of a Node timer. */
const TIMER_MAX_MS = 0x7fffffff;

/**
 * Certificates by identity: fetched once, renewed at half their life, kept through failures of the CA
 * until they expire (ztunnel `src/identity/manager.rs`). Its timers do not keep a process alive.
 */
export class CertificateStore implements Disposable {
  readonly #ca: CaClient;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #entries = new Map<string, Entry>();
  #isDisposed = false;

  constructor(ca: CaClient, options: CertificateStoreOptions = {}) {
    this.#ca = ca;
    this.#now = options.now ?? Date.now;
    this.#random = options.random ?? Math.random;
  }

  /** A certificate that has not expired. Rejects with the CA's error when the fetch fails. */
  async get(identity: Spiffe): Promise<WorkloadCertificate> {
    const entry = this.#entry(identity);
    const { certificate } = entry;
    if (certificate && certificate.notAfter.getTime() > this.#now()) return certificate;
    return (entry.pending ??= this.#fetch(entry));
  }

  /** The certificate if there is one to use at once. */
  peek(identity: Spiffe): WorkloadCertificate | undefined {
    const certificate = this.#entries.get(formatSpiffe(identity))?.certificate;
    return certificate && certificate.notAfter.getTime() > this.#now() ? certificate : undefined;
  }

  /** Stops renewing an identity and drops its certificate. */
  forget(identity: Spiffe): void {
    const key = formatSpiffe(identity);
    clearTimeout(this.#entries.get(key)?.timer);
    this.#entries.delete(key);
  }

  /** All identities with their state, sorted by name. */
  states(): readonly (readonly [identity: string, state: CertificateState])[] {
    return [...this.#entries.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, entry]) => [key, stateOf(entry)] as const);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    for (const entry of this.#entries.values()) clearTimeout(entry.timer);
    this.#entries.clear();
  }

  #entry(identity: Spiffe): Entry {
    const key = formatSpiffe(identity);
    const entry = this.#entries.get(key) ?? { identity, failures: 0 };
    this.#entries.set(key, entry);
    return entry;
  }

  async #fetch(entry: Entry): Promise<WorkloadCertificate> {
    try {
      const certificate = await this.#ca.fetchCertificate(entry.identity);
      Object.assign(entry, { certificate, error: undefined, failures: 0 });
      const { notBefore, notAfter } = certificate;
      const halfLife = (notBefore.getTime() + notAfter.getTime()) / 2;
      this.#schedule(entry, Math.max(halfLife - this.#now(), RETRY_MIN_MS));
      return certificate;
    } catch (cause) {
      entry.error = cause instanceof Error ? cause : new Error(String(cause));
      this.#schedule(entry, this.#retryMs(entry));
      entry.failures++;
      throw entry.error;
    } finally {
      entry.pending = undefined;
    }
  }

  /** Exponential from 1 s with ±20 %, never later than the expiry of what is still in use. */
  #retryMs(entry: Entry): number {
    const jitter = 1 + RETRY_JITTER * (2 * this.#random() - 1);
    const backoff = Math.min(RETRY_MIN_MS * 2 ** entry.failures * jitter, RETRY_MAX_MS);
    const left = (entry.certificate?.notAfter.getTime() ?? Infinity) - this.#now();
    return left > 0 ? Math.min(backoff, left) : backoff;
  }

  #schedule(entry: Entry, delayMs: number): void {
    clearTimeout(entry.timer);
    if (this.#isDisposed || this.#entries.get(formatSpiffe(entry.identity)) !== entry) return;
    const renew = (): void => {
      entry.pending ??= this.#fetch(entry);
      // A failure is kept in the entry and retried; whoever asks meanwhile gets it.
      entry.pending.catch(() => undefined);
    };
    entry.timer = setTimeout(renew, Math.min(delayMs, TIMER_MAX_MS)).unref();
  }
}

function stateOf(entry: Entry): CertificateState {
  if (entry.certificate) return { kind: 'available', certificate: entry.certificate };
  return entry.error ? { kind: 'unavailable', error: entry.error } : { kind: 'initializing' };
}
