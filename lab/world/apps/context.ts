import type { AppObservation } from '../lab.ts';

/** What every built-in app is told and may call. */
export interface AppContext {
  /** uid of the pod. */
  readonly uid: string;
  /** Name of the pod as its own `hostname` says it. */
  readonly pod: string;
  readonly version: string;
  readonly port: number;
  /** Notes whose request this was; the judge asks for it. */
  observe(seen: Omit<AppObservation, 'pod' | 'port' | 'timeNs'>): void;
}

/** An app that listens. Closing it ends its connections. */
export interface RunningApp {
  close(): void;
}

/** `ip:port`, IPv6 in brackets, an IPv4 address mapped into IPv6 as IPv4. */
export function formatPeer(address: string | undefined, port: number | undefined): string {
  const bare = (address ?? '').replace(/^::ffff:/, '');
  return bare.includes(':') ? `[${bare}]:${port ?? 0}` : `${bare}:${port ?? 0}`;
}
