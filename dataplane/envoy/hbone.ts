import { envoyExtension, type JsonObject } from './json.ts';
import { rawBuffer } from './tls.ts';

/** Listener filter, and metadata and filter state of its name, that say where a connection goes. */
export const ORIGINAL_DST = 'envoy.filters.listener.original_dst';

/** What a cluster speaks to carry streams of CONNECT. */
export const TUNNEL_BY_HTTP2: JsonObject = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: { allow_connect: true } },
  },
};

/** Transport socket towards an internal listener of the same Envoy. */
export function internalUpstream(body: JsonObject = {}): JsonObject {
  return envoyExtension(
    'envoy.transport_sockets.internal_upstream',
    'transport_sockets.internal_upstream.v3.InternalUpstreamTransport',
    { ...body, transport_socket: rawBuffer() },
  );
}
