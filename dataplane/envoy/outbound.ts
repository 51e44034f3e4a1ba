import { SIDECAR_PORTS } from '../redirect/sidecar-constants.ts';
import { listenerAccessLogs } from './access-log.ts';
import {
  httpManager,
  type HostRoute,
  listenerFilter,
  routeTable,
  socketOfBoth,
  tcpProxy,
} from './filters.ts';
import { tunnelledEndpoint, tunnelSocketMatch } from './hbone-out.ts';
import { type JsonObject, socketAddress } from './json.ts';
import { domainsOf } from './domains.ts';
import type {
  OutboundEndpoint,
  OutboundPort,
  OutboundService,
  SidecarInput,
} from './sidecar-input.ts';
import { clientTls, rawBuffer } from './tls.ts';

const DIRECTION = 'outbound';
export const PASSTHROUGH = 'PassthroughCluster';

/** Every listener of what the app sends: 15001, and behind it one a service port. */
export function outboundListeners(input: SidecarInput): readonly JsonObject[] {
  const ports = portsOf(input);
  const httpPorts = new Set(
    ports.flatMap(({ port }) => (port.protocol === 'http' ? [port.port] : [])),
  );
  return [
    virtualOutbound(input),
    ...[...httpPorts].map((port) => wildcardListener(input, port)),
    ...ports
      .filter(({ port }) => port.protocol !== 'http')
      .flatMap(({ service, port }) =>
        service.vips.map((vip) => vipListener(input, service, port, vip)),
      ),
  ];
}

interface ServicePort {
  readonly service: OutboundService;
  readonly port: OutboundPort;
}

function portsOf({ services }: SidecarInput): readonly ServicePort[] {
  return services.flatMap((service) => service.ports.map((port) => ({ service, port })));
}

/** What no service is known for goes where the app wanted, in plain (ALLOW_ANY). */
function virtualOutbound(input: SidecarInput): JsonObject {
  return {
    name: 'virtualOutbound',
    traffic_direction: 'OUTBOUND',
    ...socketOfBoth(input, SIDECAR_PORTS.outbound),
    use_original_dst: true,
    filter_chains: [
      {
        name: 'virtualOutbound-blackhole',
        filter_chain_match: { destination_port: SIDECAR_PORTS.outbound },
        filters: [tcpProxy(input, DIRECTION, 'BlackHoleCluster')],
      },
      {
        name: 'virtualOutbound-catchall-tcp',
        filters: [tcpProxy(input, DIRECTION, PASSTHROUGH)],
      },
    ],
    access_log: listenerAccessLogs(input.pod, input.files, DIRECTION),
  };
}

/** `0.0.0.0_<port>`: HTTP of every service that has this port, told apart by the Host header. */
function wildcardListener(input: SidecarInput, port: number): JsonObject {
  const hosts = portsOf(input)
    .filter((each) => each.port.port === port && each.port.protocol === 'http')
    .map(({ service }) => hostOf(input, service, port));
  const table = routeTable(String(port), [...hosts, ALLOW_ANY], DIRECTION);
  return {
    name: `0.0.0.0_${port}`,
    traffic_direction: 'OUTBOUND',
    ...socketOfBoth(input, port),
    bind_to_port: false,
    listener_filters: [listenerFilter('tls_inspector'), listenerFilter('http_inspector')],
    listener_filters_timeout: '0s',
    continue_on_listener_filters_timeout: true,
    default_filter_chain: {
      name: 'PassthroughFilterChain',
      filters: [tcpProxy(input, DIRECTION, PASSTHROUGH)],
    },
    filter_chains: [
      {
        filter_chain_match: HTTP_MATCH,
        filters: [httpManager(input, DIRECTION, `outbound_0.0.0.0_${port}`, table)],
      },
    ],
  };
}

const HTTP_MATCH = {
  transport_protocol: 'raw_buffer',
  application_protocols: ['http/1.1', 'h2c'],
};

const ALLOW_ANY: HostRoute = { name: 'allow_any', domains: ['*'], cluster: PASSTHROUGH };

function hostOf(input: SidecarInput, service: OutboundService, port: number): HostRoute {
  return {
    name: `${service.hostname}:${port}`,
    domains: domainsOf(service, port, input.pod.namespace),
    cluster: clusterName(service, port),
  };
}

/** `<VIP>_<port>`: one service; what its first bytes are decides where that is not said. */
function vipListener(
  input: SidecarInput,
  service: OutboundService,
  { port, protocol }: OutboundPort,
  vip: string,
): JsonObject {
  const cluster = clusterName(service, port);
  const host = { ...hostOf(input, service, port), domains: ['*'] };
  const table = routeTable(`${service.hostname}:${port}`, [host], DIRECTION);
  const tcp = { filters: [tcpProxy(input, DIRECTION, cluster)] };
  const isSniffed = protocol === 'auto';
  return {
    name: `${vip}_${port}`,
    traffic_direction: 'OUTBOUND',
    address: socketAddress(vip, port),
    bind_to_port: false,
    ...(isSniffed && {
      listener_filters: [listenerFilter('tls_inspector'), listenerFilter('http_inspector')],
      listener_filters_timeout: '0s',
      continue_on_listener_filters_timeout: true,
      default_filter_chain: tcp,
    }),
    filter_chains: isSniffed
      ? [
          {
            filter_chain_match: HTTP_MATCH,
            filters: [httpManager(input, DIRECTION, `outbound_${vip}_${port}`, table)],
          },
        ]
      : [tcp],
  };
}

function clusterName({ hostname }: OutboundService, port: number): string {
  return `outbound|${port}||${hostname}`;
}

/** One cluster a service port; TLS for endpoints that have a sidecar (auto mTLS). */
export function outboundClusters(input: SidecarInput): readonly JsonObject[] {
  return [
    ...portsOf(input).map(({ service, port }) => serviceCluster(input, service, port)),
    { name: 'BlackHoleCluster', type: 'STATIC', connect_timeout: '10s' },
    {
      name: PASSTHROUGH,
      type: 'ORIGINAL_DST',
      lb_policy: 'CLUSTER_PROVIDED',
      connect_timeout: '10s',
      typed_extension_protocol_options: DOWNSTREAM_PROTOCOL,
    },
  ];
}

const DOWNSTREAM_PROTOCOL: JsonObject = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} },
  },
};

function serviceCluster(
  input: SidecarInput,
  service: OutboundService,
  port: OutboundPort,
): JsonObject {
  const name = clusterName(service, port.port);
  const identities = [
    ...new Set(
      port.endpoints.filter(({ security }) => security === 'istio').map((e) => e.identity),
    ),
  ];
  const sni = `outbound_.${port.port}_._.${service.hostname}`;
  return {
    name,
    type: 'STATIC',
    lb_policy: 'LEAST_REQUEST',
    connect_timeout: '10s',
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: port.endpoints.map((endpoint) =>
            endpoint.security === 'hbone' && input.hbone.sends
              ? tunnelledEndpoint(endpoint)
              : directEndpoint(endpoint),
          ),
        },
      ],
    },
    transport_socket_matches: [
      ...(input.hbone.sends ? [tunnelSocketMatch()] : []),
      ...(identities.length > 0
        ? [
            {
              name: 'tlsMode-istio',
              match: { tlsMode: 'istio' },
              transport_socket: clientTls(input, { sni, identities }),
            },
          ]
        : []),
      { name: 'tlsMode-disabled', match: {}, transport_socket: rawBuffer() },
    ],
    typed_extension_protocol_options: DOWNSTREAM_PROTOCOL,
  };
}

function directEndpoint({ address, port, security }: OutboundEndpoint): JsonObject {
  return {
    endpoint: { address: socketAddress(address, port) },
    ...(security === 'istio' && {
      metadata: { filter_metadata: { 'envoy.transport_socket_match': { tlsMode: 'istio' } } },
    }),
  };
}
