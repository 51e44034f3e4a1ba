import { type Endpoint, formatEndpoint } from './address.ts';
import type { Baggage } from './headers.ts';
import type { Logger, LogFields, LogValue } from './log.ts';
import type { Workload } from './state/workload.ts';

export type Direction = 'inbound' | 'outbound';

/** One side of a connection for the log: the record that is known, else what `baggage` said. */
export interface LogParty {
  readonly workload?: Workload;
  readonly baggage?: Baggage;
  /** SPIFFE id, only when mutual TLS proved it. */
  readonly identity?: string;
}

/** What the access log says of a connection, once its context is known. */
export interface AccessContext {
  readonly direction: Direction;
  readonly sourceAddress: Endpoint;
  /** Next hop dialled; inbound HBONE: the address the tunnel came to. */
  readonly destinationAddress: Endpoint;
  /** `:authority`. */
  readonly hboneTarget?: string;
  /** Host name of the service addressed. */
  readonly service?: string;
  readonly source: LogParty;
  readonly destination: LogParty;
}

/** How a connection went; bytes as the log's owner sees them. */
export interface AccessResult {
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly durationMs: number;
  readonly error?: string;
}

const SCOPE = 'access';

const bare = (address: Endpoint): LogValue => ({ bare: formatEndpoint(address) });

const nameOf = ({ workload, baggage }: LogParty): LogValue =>
  (workload ? workload.name : baggage?.canonicalName) || undefined;

const namespaceOf = ({ workload, baggage }: LogParty): LogValue =>
  (workload ? workload.namespace : baggage?.namespace) || undefined;

const clusterOf = ({ workload, baggage }: LogParty): LogValue =>
  (workload ? workload.clusterId : baggage?.clusterId) || undefined;

/**
 * Fields of a connection in the order of ztunnel's `src/proxy/metrics.rs`. Written out, because
 * computed keys would cost more than all the rest of a line.
 */
export function contextFields(context: AccessContext): LogFields {
  const { source, destination, hboneTarget } = context;
  return {
    'src.addr': bare(context.sourceAddress),
    'src.workload': nameOf(source),
    'src.namespace': namespaceOf(source),
    'src.identity': source.identity,
    'src.cluster': clusterOf(source),
    'dst.addr': bare(context.destinationAddress),
    'dst.hbone_addr': hboneTarget === undefined ? undefined : { bare: hboneTarget },
    'dst.service': context.service,
    'dst.workload': nameOf(destination),
    'dst.namespace': namespaceOf(destination),
    'dst.identity': destination.identity,
    'dst.cluster': clusterOf(destination),
    direction: context.direction,
  };
}

/** `connection opened`, at debug level. */
export function logOpened(log: Logger, context: AccessContext): void {
  if (log.isEnabled('debug', SCOPE)) log.debug(SCOPE, 'connection opened', contextFields(context));
}

/** `connection complete`: info when all went well, error with the reason otherwise. */
export function logComplete(log: Logger, context: AccessContext, result: AccessResult): void {
  const level = result.error === undefined ? 'info' : 'error';
  if (!log.isEnabled(level, SCOPE)) return;
  log.log(level, SCOPE, 'connection complete', {
    ...contextFields(context),
    bytes_sent: result.bytesSent,
    bytes_recv: result.bytesReceived,
    duration: `${Math.floor(result.durationMs)}ms`,
    error: result.error,
  });
}

/** `connection failed`: the end of a connection of which no more than its addresses is known. */
export function logEarlyDeny(
  log: Logger,
  direction: Direction,
  source: Endpoint,
  destination: Endpoint,
  error: string,
): void {
  log.warn(SCOPE, 'connection failed', {
    'src.addr': bare(source),
    'dst.addr': bare(destination),
    direction,
    error,
  });
}
