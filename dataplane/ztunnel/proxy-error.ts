/** Why a proxied connection failed; decides response status and log level, not the text. */
export type ProxyErrorKind =
  | 'io'
  | 'connection-failed'
  | 'connect-timeout'
  | 'policy-rejection'
  | 'policy-change'
  | 'self-call'
  | 'ip-mismatch'
  | 'bad-authority'
  | 'bad-method'
  | 'unknown-hostname'
  | 'unknown-service'
  | 'no-port'
  | 'no-upstream'
  | 'no-address'
  | 'unknown-waypoint'
  | 'waypoint-bypass'
  | 'unknown-workload'
  | 'http-status'
  | 'h2-handshake'
  | 'h2'
  | 'tls'
  | 'identity'
  | 'drain'
  | 'drain-timeout'
  | 'not-supported';

/**
 * A failure of one proxied connection. `message` is the text of the access log's `error` field,
 * as ztunnel's `src/proxy.rs` words it.
 */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly code: string;
  readonly kind: ProxyErrorKind;
  constructor(kind: ProxyErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.code = `DATAPLANE_PROXY_${kind.toUpperCase().replaceAll('-', '_')}`;
  }
}

const OS_ERRORS: Readonly<Record<string, readonly [number, string]>> = {
  EPERM: [1, 'Operation not permitted'],
  EACCES: [13, 'Permission denied'],
  EINVAL: [22, 'Invalid argument'],
  EMFILE: [24, 'Too many open files'],
  EPIPE: [32, 'Broken pipe'],
  EADDRINUSE: [98, 'Address already in use'],
  EADDRNOTAVAIL: [99, 'Cannot assign requested address'],
  ENETUNREACH: [101, 'Network is unreachable'],
  ECONNABORTED: [103, 'Software caused connection abort'],
  ECONNRESET: [104, 'Connection reset by peer'],
  ENOTCONN: [107, 'Transport endpoint is not connected'],
  ETIMEDOUT: [110, 'Connection timed out'],
  ECONNREFUSED: [111, 'Connection refused'],
  EHOSTUNREACH: [113, 'No route to host'],
};

interface SystemFault extends Error {
  readonly code?: unknown;
  readonly osCode?: unknown;
  readonly errnoName?: unknown;
}

/** The symbolic errno (`ECONNREFUSED`) of a system error, looked for along its causes. */
export function errnoName(error: unknown): string | undefined {
  for (let e = error, depth = 0; e instanceof Error && depth < 5; e = e.cause, depth++) {
    const { code, osCode, errnoName: own } = e as SystemFault;
    for (const name of [osCode, own, code]) {
      if (typeof name === 'string' && /^E[A-Z0-9]+$/.test(name)) return name;
    }
  }
  return undefined;
}

/** The error as Rust's `std::io::Error` prints it: `Connection refused (os error 111)`. */
export function osErrorText(error: unknown): string {
  const known = OS_ERRORS[errnoName(error) ?? ''];
  if (known) return `${known[1]} (os error ${known[0]})`;
  return error instanceof Error ? error.message : String(error);
}

/** A system error while carrying bytes or connecting: `io error: Broken pipe (os error 32)`. */
export function ioError(cause: unknown): ProxyError {
  return new ProxyError('io', `io error: ${reasonOf(cause)}`, { cause });
}

/** Failure to reach the app: `connection failed: Connection refused (os error 111)`. */
export function connectionFailed(cause: unknown): ProxyError {
  return new ProxyError('connection-failed', `connection failed: ${reasonOf(cause)}`, { cause });
}

/** Failure to reach a tunnel endpoint by TCP; one that ran into its limit names the usual reason. */
export function tunnelUnreachable(cause: unknown): ProxyError {
  if (errnoName(cause) !== 'ETIMEDOUT') return ioError(cause);
  const hint = 'connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008';
  return new ProxyError('connect-timeout', `${hint}: ${reasonOf(cause)}`, { cause });
}

/** The limit of 10 s on connects is the proxy's own (tokio's `Elapsed`), so no errno is shown. */
function reasonOf(cause: unknown): string {
  return errnoName(cause) === 'ETIMEDOUT' ? 'deadline has elapsed' : osErrorText(cause);
}

/** The proxy lets go of a connection because it stops. */
export function drained(): ProxyError {
  return new ProxyError('drain', 'connection closed due to connection drain');
}

/** A live connection that a changed policy no longer allows. */
export function policyChanged(): ProxyError {
  return new ProxyError('policy-change', 'connection closed due to policy change');
}

/** A connection that policies refuse. */
export function policyRejected(reason: string): ProxyError {
  const message = `connection closed due to policy rejection: ${reason}`;
  return new ProxyError('policy-rejection', message);
}

/** The proxy's own workload is not known to the mesh state. */
export function unknownLocalWorkload(id: {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}): ProxyError {
  const name = `${id.serviceAccount}.${id.namespace} (${id.name})`;
  const message = `failed to fetch information about local workload: ${name}`;
  return new ProxyError('unknown-workload', message);
}
