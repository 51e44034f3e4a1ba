import { envoyExtension, type JsonObject } from './json.ts';
import type { SidecarCredentials, SidecarInput } from './sidecar-input.ts';

const TLS = 'envoy.transport_sockets.tls';
/** What servers choose from (`pilot/pkg/networking/util`, ALPNDownstreamWithMxc). */
const SERVER_ALPN = ['istio-peer-exchange', 'h2', 'http/1.1'];

/** ALPN of clients; what is HTTP says so by a filter (`filters.ts`). */
const CLIENT_ALPN = ['istio-peer-exchange', 'istio'];

/** Mutual TLS as a server, for any workload of the trust domain. */
export function serverTls(input: SidecarInput): JsonObject {
  return envoyExtension(TLS, 'transport_sockets.tls.v3.DownstreamTlsContext', {
    require_client_certificate: true,
    common_tls_context: commonTls(input, SERVER_ALPN, [ofTrustDomain(input)]),
  });
}

/** Mutual TLS as a client of one port of a service, whose workloads have these identities. */
export function clientTls(input: SidecarInput, { sni, identities }: ClientTls): JsonObject {
  const matchers = identities.map((identity) => ({ exact: identity }));
  return envoyExtension(TLS, 'transport_sockets.tls.v3.UpstreamTlsContext', {
    sni,
    common_tls_context: commonTls(input, CLIENT_ALPN, matchers),
  });
}

/** Mutual TLS of HBONE as a server, for any workload of the trust domain (`connect_terminate`). */
export function connectServerTls(input: SidecarInput): JsonObject {
  return envoyExtension(TLS, 'transport_sockets.tls.v3.DownstreamTlsContext', {
    require_client_certificate: true,
    common_tls_context: connectTls(input),
  });
}

/** The same as a client: any workload of the trust domain may answer (`connect_originate`). */
export function connectClientTls(input: SidecarInput): JsonObject {
  return envoyExtension(TLS, 'transport_sockets.tls.v3.UpstreamTlsContext', {
    common_tls_context: connectTls(input),
  });
}

/** Bytes as they are. */
export function rawBuffer(): JsonObject {
  return envoyExtension(
    'envoy.transport_sockets.raw_buffer',
    'transport_sockets.raw_buffer.v3.RawBuffer',
  );
}

export interface ClientTls {
  readonly sni: string;
  /** SPIFFE URIs of which the server must show one. */
  readonly identities: readonly string[];
}

function ofTrustDomain({ trustDomain }: SidecarInput): JsonObject {
  return { prefix: `spiffe://${trustDomain}/` };
}

function connectTls(input: SidecarInput): JsonObject {
  const tls13 = 'TLSv1_3';
  return {
    ...commonTls(input, ['h2'], [ofTrustDomain(input)]),
    tls_params: { tls_minimum_protocol_version: tls13, tls_maximum_protocol_version: tls13 },
  };
}

function commonTls(
  input: SidecarInput,
  alpn: readonly string[],
  matchers: readonly JsonObject[],
): JsonObject {
  const { credentials, files } = input;
  return {
    alpn_protocols: alpn,
    tls_params: {
      tls_minimum_protocol_version: 'TLSv1_2',
      tls_maximum_protocol_version: 'TLSv1_3',
    },
    ...certificateOf(input),
    validation_context: {
      trusted_ca: { inline_string: credentials.roots },
      match_typed_subject_alt_names: matchers.map((matcher) => ({ san_type: 'URI', matcher })),
    },
    ...(files.keyLog !== undefined && { key_log: { path: files.keyLog } }),
  };
}

/** Name of the secret, as Istio's agent serves it. */
const SECRET = 'default';

function certificateOf({ credentials, secretFile }: SidecarInput): JsonObject {
  if (secretFile === undefined) return { tls_certificates: [pairOf(credentials)] };
  const sds_config = { path_config_source: { path: secretFile }, resource_api_version: 'V3' };
  return { tls_certificate_sds_secret_configs: [{ name: SECRET, sds_config }] };
}

function pairOf({ certificateChain, key }: SidecarCredentials): JsonObject {
  return {
    certificate_chain: { inline_string: certificateChain },
    private_key: { inline_string: key },
  };
}

/** Content of a secret file: new connections show this certificate, those that are open go on. */
export function certificateSecret(credentials: SidecarCredentials): JsonObject {
  const type = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
  return {
    resources: [{ '@type': type, name: SECRET, tls_certificate: pairOf(credentials) }],
  };
}
