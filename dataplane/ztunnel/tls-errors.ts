import { HttpStatusError, PeerIdentityError, TcpConnectError } from '../hbone/errors.ts';
import { KernelError } from '../kernel/errors.ts';
import { IdentityError } from '../identity/peer-names.ts';
import type { Spiffe } from '../identity/spiffe.ts';
import { debugQuote } from './log.ts';
import { ioError, ProxyError, tunnelUnreachable } from './proxy-error.ts';

/** A failed TLS accept in the words of ztunnel, which prints rustls's error in Rust's debug form. */
export function inboundTlsError(error: unknown, trustDomain: string): ProxyError {
  const cause = identityErrorOf(error);
  const text = cause ? rustIdentityError(cause, trustDomain) : rustTlsError(error);
  return new ProxyError('tls', `tls handshake error: ${text}`, { cause: error });
}

function identityErrorOf(error: unknown): IdentityError | undefined {
  const cause = error instanceof PeerIdentityError ? error.cause : error;
  return cause instanceof IdentityError ? cause : undefined;
}

function rustIdentityError(error: IdentityError, trustDomain: string): string {
  const presented = error.presented.map(rustSpiffe).join(', ');
  const san = `SanTrustDomainError(${debugQuote(trustDomain)}, [${presented}])`;
  return invalidData(`InvalidCertificate(Other(OtherError(${san})))`);
}

function rustSpiffe({ trustDomain, namespace, serviceAccount }: Spiffe): string {
  const fields = [
    `trust_domain: ${debugQuote(trustDomain)}`,
    `namespace: ${debugQuote(namespace)}`,
    `service_account: ${debugQuote(serviceAccount)}`,
  ];
  return `Spiffe { ${fields.join(', ')} }`;
}

function invalidData(error: string): string {
  return `Custom { kind: InvalidData, error: ${error} }`;
}

/** Faults that both stacks know, by what the data path says of them. */
const KNOWN: readonly (readonly [pattern: RegExp, rust: string])[] = [
  [
    /peer did not return a certificate|no certificate|certificate required/i,
    'NoCertificatesPresented',
  ],
  [/no application protocol|alpn/i, 'NoApplicationProtocol'],
  [/has expired|certificate expired/i, 'InvalidCertificate(Expired)'],
  [/unable to (get|verify)|self.signed|unknown ca/i, 'InvalidCertificate(UnknownIssuer)'],
];

function rustTlsError(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const reason = message.replace(/^tls handshake error: /, '');
  const known = KNOWN.find(([pattern]) => pattern.test(reason));
  return known ? invalidData(known[1]) : reason;
}

/** The failure of an HBONE connect as ztunnel words it. */
export function outboundError(error: unknown): Error {
  if (error instanceof ProxyError) return error;
  if (error instanceof TcpConnectError) return tunnelUnreachable(error);
  if (error instanceof KernelError) return ioError(error);
  if (error instanceof HttpStatusError) {
    return new ProxyError('http-status', error.message, { cause: error });
  }
  const identity = identityErrorOf(error);
  if (identity) return new ProxyError('tls', identity.message, { cause: error });
  return error instanceof Error ? error : new Error(String(error));
}
