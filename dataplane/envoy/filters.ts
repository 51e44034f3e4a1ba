import { accessLogs, type SidecarDirection } from './access-log.ts';
import { envoyExtension, type Json, type JsonObject, socketAddress } from './json.ts';
import type { SidecarInput } from './sidecar-input.ts';

/** A port on all addresses of the pod, of both families where it has both. */
export function socketOfBoth({ hasIpv6 }: SidecarInput, port: number): JsonObject {
  return {
    address: socketAddress('0.0.0.0', port),
    ...(hasIpv6 && { additional_addresses: [{ address: socketAddress('::', port) }] }),
  };
}

/** Bytes to a cluster and back. */
export function tcpProxy(
  input: SidecarInput,
  direction: SidecarDirection,
  cluster: string,
  statPrefix: string = cluster,
): JsonObject {
  return envoyExtension(
    'envoy.filters.network.tcp_proxy',
    'filters.network.tcp_proxy.v3.TcpProxy',
    {
      stat_prefix: statPrefix,
      cluster,
      access_log: accessLogs(input.pod, input.files, direction),
    },
  );
}

/** Requests by routes. What Istio's own filters add (peer metadata, telemetry) is not in stock Envoy. */
export function httpManager(
  input: SidecarInput,
  direction: SidecarDirection,
  statPrefix: string,
  routes: JsonObject,
): JsonObject {
  const isInbound = direction !== 'outbound';
  return envoyExtension(
    'envoy.filters.network.http_connection_manager',
    'filters.network.http_connection_manager.v3.HttpConnectionManager',
    {
      stat_prefix: statPrefix,
      route_config: routes,
      server_name: 'istio-envoy',
      use_remote_address: false,
      normalize_path: true,
      path_with_escaped_slashes_action: 'KEEP_UNCHANGED',
      stream_idle_timeout: '0s',
      upgrade_configs: [{ upgrade_type: 'websocket' }],
      ...(isInbound && {
        forward_client_cert_details: 'APPEND_FORWARD',
        set_current_client_cert_details: { subject: true, dns: true, uri: true },
      }),
      http_filters: [
        ...(isInbound ? [] : [HTTP_ALPN]),
        envoyExtension('envoy.filters.http.router', 'filters.http.router.v3.Router'),
      ],
      access_log: accessLogs(input.pod, input.files, direction),
    },
  );
}

/**
 * What Istio's filter `istio.alpn` does, by means of stock Envoy: the ALPN of the connection upstream
 * says that HTTP comes, so that the other sidecar reads it as such.
 */
const HTTP_ALPN: JsonObject = envoyExtension(
  'envoy.filters.http.set_filter_state',
  'filters.http.set_filter_state.v3.Config',
  {
    on_request_headers: [
      {
        object_key: 'envoy.network.application_protocols',
        format_string: {
          text_format_source: { inline_string: 'istio-http/1.1,istio,http/1.1' },
        },
      },
    ],
  },
);

/** Routes of which every request of a host goes to one cluster. */
export interface HostRoute {
  readonly name: string;
  readonly domains: readonly string[];
  readonly cluster: string;
}

/** A table of routes; outbound ones retry as Istio's default policy says. */
export function routeTable(
  name: string,
  hosts: readonly HostRoute[],
  direction: SidecarDirection,
): JsonObject {
  const isOutbound = direction === 'outbound';
  return {
    name,
    validate_clusters: false,
    virtual_hosts: hosts.map(({ name: host, domains, cluster }) => ({
      name: host,
      domains,
      routes: [
        {
          name: host === 'allow_any' ? 'allow_any' : 'default',
          match: { prefix: '/' },
          route: { cluster, timeout: '0s', ...(isOutbound && { retry_policy: RETRIES }) },
        },
      ],
      ...(isOutbound && { include_request_attempt_count: true }),
    })),
  };
}

/** `pilot/pkg/networking/core/route/retry`, the default policy. */
const RETRIES: JsonObject = {
  retry_on: 'connect-failure,refused-stream,unavailable,cancelled,reset-before-request',
  num_retries: 2,
};

/** What looks at the first bytes, so that filter chains can be chosen. */
export function listenerFilter(
  name: 'original_dst' | 'tls_inspector' | 'http_inspector',
  disabledFor: readonly number[] = [],
): JsonObject {
  const message = {
    original_dst: 'OriginalDst',
    tls_inspector: 'TlsInspector',
    http_inspector: 'HttpInspector',
  };
  const ports: readonly Json[] = disabledFor.map((port) => ({
    destination_port_range: { start: port, end: port + 1 },
  }));
  const [only] = ports;
  return {
    ...envoyExtension(
      `envoy.filters.listener.${name}`,
      `filters.listener.${name}.v3.${message[name]}`,
    ),
    ...(only !== undefined && {
      filter_disabled: ports.length === 1 ? only : { or_match: { rules: ports } },
    }),
  };
}
