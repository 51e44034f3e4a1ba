import { SIDECAR_PORTS } from '../redirect/sidecar-constants.ts';
import { internalUpstream, ORIGINAL_DST, TUNNEL_BY_HTTP2 } from './hbone.ts';
import { envoyExtension, type JsonObject } from './json.ts';
import { listenerFilter } from './filters.ts';
import type { OutboundEndpoint, SidecarInput } from './sidecar-input.ts';
import { connectClientTls } from './tls.ts';

/** Internal listener, and cluster behind it, that put a connection into a tunnel. */
const CONNECT_ORIGINATE = 'connect_originate';
/** Metadata of an endpoint by which its transport socket is chosen (`TunnelLabelShortName`). */
const TUNNEL_MATCH = { tunnel: 'http' };

/**
 * The listener behind endpoints in ambient: one stream of HTTP/2 CONNECT a connection, whose
 * authority is the endpoint (Istio `listener_waypoint.go`, buildConnectOriginateListener).
 */
export function connectOriginateListener(): JsonObject {
  return {
    name: CONNECT_ORIGINATE,
    internal_listener: {},
    listener_filters: [listenerFilter('original_dst')],
    filter_chains: [
      {
        filters: [
          envoyExtension(
            'envoy.filters.network.tcp_proxy',
            'filters.network.tcp_proxy.v3.TcpProxy',
            {
              stat_prefix: CONNECT_ORIGINATE,
              cluster: CONNECT_ORIGINATE,
              tunneling_config: { hostname: '%DOWNSTREAM_LOCAL_ADDRESS%' },
            },
          ),
        ],
      },
    ],
  };
}

/**
 * Mutual TLS to port 15008 of wherever the connection was for. Any workload of the trust domain may
 * answer: unlike ztunnel, sidecars do not ask for one identity (`cluster_waypoint.go`).
 */
export function connectOriginateCluster(input: SidecarInput): JsonObject {
  return {
    name: CONNECT_ORIGINATE,
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    connect_timeout: '10s',
    cleanup_interval: '60s',
    original_dst_lb_config: {
      upstream_port_override: SIDECAR_PORTS.hbone,
      metadata_key: { key: ORIGINAL_DST, path: [{ key: 'waypoint' }] },
    },
    typed_extension_protocol_options: TUNNEL_BY_HTTP2,
    transport_socket: connectClientTls(input),
  };
}

/** An endpoint of a service that is reached through the listener above. */
export function tunnelledEndpoint({ address, port }: OutboundEndpoint): JsonObject {
  const destination = `${address.includes(':') ? `[${address}]` : address}:${port}`;
  const internal = { server_listener_name: CONNECT_ORIGINATE, endpoint_id: destination };
  return {
    endpoint: { address: { envoy_internal_address: internal } },
    metadata: {
      filter_metadata: {
        [ORIGINAL_DST]: { local: destination },
        'envoy.transport_socket_match': TUNNEL_MATCH,
      },
    },
  };
}

/** The first of a cluster's transport sockets: hands where to go to the listener above. */
export function tunnelSocketMatch(): JsonObject {
  return {
    name: 'hbone',
    match: TUNNEL_MATCH,
    transport_socket: internalUpstream({
      passthrough_metadata: [{ kind: { host: {} }, name: ORIGINAL_DST }],
    }),
  };
}
