import type { CertificateStore } from '../identity/certificate-store.ts';
import { formatSpiffe, type Spiffe } from '../identity/spiffe.ts';
import type { DataPath } from '../hbone/api.ts';
import type { WorkloadIdentity, ZtunnelConfig } from './config.ts';
import type { ConnectionTracker } from './connection-tracker.ts';
import type { LegLog } from './leg-log.ts';
import type { Logger } from './log.ts';
import { unknownLocalWorkload } from './proxy-error.ts';
import type { SocketFactory } from './socket-factory.ts';
import type { StateStore } from './state/state-store.ts';
import type { Workload } from './state/workload.ts';

/** What all workloads of a process share. */
export interface ProcessContext {
  readonly config: ZtunnelConfig;
  readonly log: Logger;
  readonly store: StateStore;
  readonly certificates: CertificateStore;
  readonly dataPath: DataPath;
  readonly legs?: LegLog;
}

/** What the listeners of one workload share. */
export interface ProxyContext extends ProcessContext {
  readonly identity: WorkloadIdentity;
  readonly sockets: SocketFactory;
  readonly connections: ConnectionTracker;
  /**
   * Sockets are in ztunnel's own namespace, as in 1.18 to 1.20: every connection to the outside
   * borrows its client's address, and pods of this node are reached without a tunnel.
   */
  readonly isNodeLevel?: boolean;
  /**
   * The client of plain text that goes on to a waypoint. Neither end may be of this node, so the
   * tunnel has ztunnel's own address as source.
   */
  readonly hairpinClient?: Workload;
}

/** How long a connection waits for its own workload to become known (`src/state.rs`). */
const LOCAL_WORKLOAD_WAIT_MS = 5000;

/**
 * The workload this proxy runs for, at once when it is known.
 * @throws ProxyError when it does not become known in time
 */
export async function localWorkload(
  context: ProxyContext,
  signal?: AbortSignal,
): Promise<Workload> {
  const { store, identity } = context;
  const workload = await store.waitForLocal(identity, LOCAL_WORKLOAD_WAIT_MS, signal);
  if (!workload) throw unknownLocalWorkload(identity);
  return workload;
}

/** The identity certificates are asked for: trust domain of the record, the rest as announced. */
export function ownIdentity(context: ProxyContext, workload: Workload): Spiffe {
  const { namespace, serviceAccount } = context.identity;
  return { trustDomain: workload.trustDomain, namespace, serviceAccount };
}

/** The same as text. */
export function ownIdentityText(context: ProxyContext, workload: Workload): string {
  return formatSpiffe(ownIdentity(context, workload));
}
