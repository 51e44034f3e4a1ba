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

/** The symbolic errno (`ECONNREFUSED`) of a system error, looked for along its causes. */
export function errnoName(error: unknown): string | undefined {
  for (let e = error, depth = 0; e instanceof Error && depth < 5; e = e.cause, depth++) {
    const { code, osCode } = e as { code?: unknown; osCode?: unknown };
    for (const name of [osCode, code]) {
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

/** Failure to reach the next hop: `connection failed: Connection refused (os error 111)`. */
export function connectionFailed(cause: unknown): ProxyError {
  return new ProxyError('connection-failed', `connection failed: ${osErrorText(cause)}`, { cause });
}

/** A tunnel's TCP connect that ran into its limit, worded with the usual reason for it. */
export function hboneTimeout(cause: unknown): ProxyError {
  const hint = 'connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008';
  return new ProxyError('connect-timeout', `${hint}: ${timeoutText(cause)}`, { cause });
}

/** A plain TCP connect that ran into its limit. */
export function connectTimeout(cause: unknown): ProxyError {
  return new ProxyError('connection-failed', `connection failed: ${timeoutText(cause)}`, { cause });
}

function timeoutText(cause: unknown): string {
  // The limit of 10 s is the proxy's own, so there is no errno behind it (tokio's Elapsed).
  return errnoName(cause) ? osErrorText(cause) : 'deadline has elapsed';
}
