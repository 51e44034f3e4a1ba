import { SIDECAR_PORTS } from '../redirect/sidecar-constants.ts';
import { FORWARDED_STATE, listenerAccessLogs } from './access-log.ts';
import { listenerFilter, socketOfBoth } from './filters.ts';
import { internalUpstream, ORIGINAL_DST, TUNNEL_BY_HTTP2 } from './hbone.ts';
import { chainsInsideTunnel } from './inbound.ts';
import { envoyExtension, type JsonObject } from './json.ts';
import type { SidecarInput } from './sidecar-input.ts';
import { connectServerTls } from './tls.ts';

/** Cluster and internal listener that a stream is handed to. */
const MAIN_INTERNAL = 'main_internal';

/**
 * `connect_terminate` on 15008 takes streams of CONNECT, `main_internal` behind it does with each
 * what `virtualInbound` does with a connection without TLS, for addresses of this pod only (Istio
 * `listener_inbound.go`, buildInboundHBONEListeners).
 */
export function hboneListeners(input: SidecarInput): readonly JsonObject[] {
  return [connectTerminate(input), mainInternal(input)];
}

/** Cluster that leads from the one to the other. */
export function mainInternalCluster(): JsonObject {
  const internal = { server_listener_name: MAIN_INTERNAL };
  const endpoint = { address: { envoy_internal_address: internal } };
  return {
    name: MAIN_INTERNAL,
    type: 'STATIC',
    connect_timeout: '10s',
    transport_socket: internalUpstream(),
    load_assignment: {
      cluster_name: MAIN_INTERNAL,
      endpoints: [{ lb_endpoints: [{ endpoint }] }],
    },
    typed_extension_protocol_options: TUNNEL_BY_HTTP2,
  };
}

function connectTerminate(input: SidecarInput): JsonObject {
  return {
    name: 'connect_terminate',
    ...socketOfBoth(input, SIDECAR_PORTS.hbone),
    connection_balance_config: { exact_balance: {} },
    filter_chains: [
      {
        name: 'default',
        transport_socket: connectServerTls(input),
        filters: [
          envoyExtension(
            'envoy.filters.network.http_connection_manager',
            'filters.network.http_connection_manager.v3.HttpConnectionManager',
            connectManager(),
          ),
        ],
      },
    ],
  };
}

function connectManager(): JsonObject {
  const upgrade = { upgrade_type: 'CONNECT' };
  const route = {
    cluster: MAIN_INTERNAL,
    timeout: '0s',
    upgrade_configs: [{ ...upgrade, connect_config: {} }],
  };
  return {
    stat_prefix: 'connect_terminate',
    server_name: 'istio-envoy',
    use_remote_address: false,
    stream_idle_timeout: '0s',
    forward_client_cert_details: 'APPEND_FORWARD',
    set_current_client_cert_details: { subject: true, dns: true, uri: true },
    upgrade_configs: [upgrade],
    http2_protocol_options: {
      allow_connect: true,
      max_concurrent_streams: 100,
      connection_keepalive: { interval: '10s', timeout: '20s' },
    },
    route_config: {
      name: 'default',
      virtual_hosts: [
        { name: 'default', domains: ['*'], routes: [{ match: { connect_matcher: {} }, route }] },
      ],
    },
    http_filters: [
      connectAuthority(),
      envoyExtension('envoy.filters.http.router', 'filters.http.router.v3.Router'),
    ],
  };
}

/** What the stream is for and whence it came, kept for the listener inside (`connect_authority`). */
function connectAuthority(): JsonObject {
  const kept = (key: string, value: string, factory?: string): JsonObject => ({
    object_key: key,
    ...(factory !== undefined && { factory_key: factory }),
    format_string: { text_format_source: { inline_string: value }, omit_empty_values: true },
    shared_with_upstream: 'ONCE',
    skip_if_empty: true,
  });
  return envoyExtension('connect_authority', 'filters.http.set_filter_state.v3.Config', {
    on_request_headers: [
      kept(`${ORIGINAL_DST}.local_ip`, '%REQ(:AUTHORITY)%'),
      kept(`${ORIGINAL_DST}.remote_ip`, '%DOWNSTREAM_REMOTE_ADDRESS%'),
      kept('io.istio.peer_principal', '%DOWNSTREAM_PEER_URI_SAN%', 'envoy.string'),
      kept('io.istio.local_principal', '%DOWNSTREAM_LOCAL_URI_SAN%', 'envoy.string'),
      kept(FORWARDED_STATE, '%REQ(FORWARDED)%', 'envoy.string'),
    ],
  });
}

function mainInternal(input: SidecarInput): JsonObject {
  const { pod, files } = input;
  return {
    name: MAIN_INTERNAL,
    traffic_direction: 'INBOUND',
    internal_listener: {},
    listener_filters: [listenerFilter('original_dst'), listenerFilter('http_inspector')],
    continue_on_listener_filters_timeout: true,
    filter_chains: chainsInsideTunnel(input),
    access_log: listenerAccessLogs(pod, files, 'inbound'),
  };
}
