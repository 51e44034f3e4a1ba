import {
  PASSTHROUGH_SOURCE,
  SIDECAR_PORTS,
  SIDECAR_TPROXY,
} from '../redirect/sidecar-constants.ts';
import { listenerAccessLogs, type SidecarDirection } from './access-log.ts';
import { httpManager, listenerFilter, routeTable, socketOfBoth, tcpProxy } from './filters.ts';
import { envoyExtension, type JsonObject } from './json.ts';
import type { InboundPort, MtlsMode, PortProtocol, SidecarInput } from './sidecar-input.ts';
import { serverTls } from './tls.ts';

const DIRECTION = 'inbound-passthrough';
const HTTP_OVER_MTLS = ['istio-http/1.0', 'istio-http/1.1', 'istio-h2'];
const TCP_OVER_MTLS = ['istio-peer-exchange', 'istio'];
const PLAIN_HTTP = ['http/1.1', 'h2c'];
const PASSTHROUGH = 'InboundPassthroughCluster';

/**
 * `virtualInbound` on 15006: a chain for each port that a service leads to, one for every other
 * port, each by what PeerAuthentication lets in (Istio `listener_inbound.go`, `authn/utils`).
 */
export function inboundListener(input: SidecarInput): JsonObject {
  const { pod, files, isTproxy, inboundPorts } = input;
  const plainTcp = inboundPorts
    .filter(({ protocol }) => protocol === 'tcp')
    .map(({ port }) => port);
  return {
    name: 'virtualInbound',
    traffic_direction: 'INBOUND',
    ...socketOfBoth(input, SIDECAR_PORTS.inbound),
    ...(isTproxy && { transparent: true }),
    listener_filters: [
      listenerFilter('original_dst'),
      ...(isTproxy
        ? [
            envoyExtension(
              'envoy.filters.listener.original_src',
              'filters.listener.original_src.v3.OriginalSrc',
              { mark: SIDECAR_TPROXY.mark },
            ),
          ]
        : []),
      listenerFilter('tls_inspector'),
      listenerFilter('http_inspector', plainTcp),
    ],
    listener_filters_timeout: '0s',
    continue_on_listener_filters_timeout: true,
    filter_chains: [
      {
        name: 'virtualInbound-blackhole',
        filter_chain_match: { destination_port: SIDECAR_PORTS.inbound },
        filters: [tcpProxy(input, DIRECTION, 'BlackHoleCluster')],
      },
      ...portsWithChains(input).flatMap((port) => chainsOf(input, port)),
      ...chainsOf(input, undefined),
    ],
    access_log: listenerAccessLogs(pod, files, DIRECTION),
  };
}

interface Chain {
  readonly isTls: boolean;
  readonly alpn?: readonly string[];
  readonly kind: 'http' | 'tcp';
  /** TLS is left as it is: it is the app's own. */
  readonly isOpaque?: boolean;
}

/** Ports that services lead to, and those that PeerAuthentication names without a service. */
function portsWithChains({ inboundPorts, mtls }: SidecarInput): readonly ChainPort[] {
  const named = Object.keys(mtls.ports)
    .map(Number)
    .filter((port) => !inboundPorts.some((each) => each.port === port))
    .map((port) => ({ port, protocol: 'auto', hasService: false }) as const);
  return [...inboundPorts.map((each) => ({ ...each, hasService: true })), ...named];
}

interface ChainPort extends InboundPort {
  readonly hasService: boolean;
}

function chainsOf(input: SidecarInput, inbound: ChainPort | undefined): readonly JsonObject[] {
  const { mode, ports } = input.mtls;
  const cluster = inbound?.hasService === true ? inboundClusterName(inbound.port) : PASSTHROUGH;
  const protocol = inbound?.protocol ?? 'auto';
  const mtls = (inbound && ports[inbound.port]) ?? mode;
  return chainKinds(protocol, mtls).map((chain) => ({
    name: chainName(inbound, chain.kind),
    filter_chain_match: {
      ...(inbound && { destination_port: inbound.port }),
      transport_protocol: chain.isTls ? 'tls' : 'raw_buffer',
      ...(chain.alpn && { application_protocols: chain.alpn }),
    },
    ...(chain.isTls && chain.isOpaque !== true && { transport_socket: serverTls(input) }),
    filters: [toApp(input, chain.kind, cluster, DIRECTION)],
  }));
}

function toApp(
  input: SidecarInput,
  kind: Chain['kind'],
  cluster: string,
  direction: SidecarDirection,
): JsonObject {
  if (kind === 'tcp') return tcpProxy(input, direction, cluster);
  const host = { name: 'inbound|http', domains: ['*'], cluster };
  return httpManager(input, direction, cluster, routeTable(cluster, [host], direction));
}

/**
 * Chains for what came through a tunnel to an address of this pod. The tunnel is the encryption:
 * what is inside is taken as it is, whatever PeerAuthentication says.
 */
export function chainsInsideTunnel(input: SidecarInput): readonly JsonObject[] {
  const ranges = input.pod.addresses.map((address) => ({
    address_prefix: address,
    prefix_len: address.includes(':') ? 128 : 32,
  }));
  return [...input.inboundPorts, undefined].flatMap((inbound) => {
    const cluster = inbound === undefined ? PASSTHROUGH : inboundClusterName(inbound.port);
    const kinds = chainKinds(inbound?.protocol ?? 'auto', 'DISABLE').filter(({ isTls }) => !isTls);
    return kinds.map(({ alpn, kind }) => ({
      name: chainName(inbound, kind),
      filter_chain_match: {
        prefix_ranges: ranges,
        ...(inbound && { destination_port: inbound.port }),
        ...(alpn && { application_protocols: alpn }),
      },
      filters: [toApp(input, kind, cluster, 'inbound')],
    }));
  });
}

function chainName(inbound: InboundPort | undefined, kind: Chain['kind']): string {
  return inbound === undefined ? `virtualInbound-catchall-${kind}` : `0.0.0.0_${inbound.port}`;
}

function chainKinds(protocol: PortProtocol, mtls: MtlsMode): readonly Chain[] {
  const plain: readonly Chain[] =
    protocol === 'auto'
      ? [
          { isTls: false, alpn: PLAIN_HTTP, kind: 'http' },
          { isTls: false, kind: 'tcp' },
        ]
      : [{ isTls: false, kind: protocol }];
  const opaque: readonly Chain[] =
    protocol === 'http' ? [] : [{ isTls: true, kind: 'tcp', isOpaque: true }];
  if (mtls === 'DISABLE') return [...plain, ...opaque];
  if (mtls === 'PERMISSIVE') return [...mutual(protocol, true), ...plain, ...opaque];
  return mutual(protocol, false);
}

/** In STRICT every TLS is mutual; else only what says by ALPN that it is Istio's. */
function mutual(protocol: PortProtocol, isByAlpn: boolean): readonly Chain[] {
  if (protocol === 'auto') {
    return [
      { isTls: true, alpn: HTTP_OVER_MTLS, kind: 'http' },
      { isTls: true, ...(isByAlpn && { alpn: TCP_OVER_MTLS }), kind: 'tcp' },
    ];
  }
  const alpn = [...TCP_OVER_MTLS, ...HTTP_OVER_MTLS];
  return [{ isTls: true, ...(isByAlpn && { alpn }), kind: protocol }];
}

/** Name of the cluster of one port of the pod. */
function inboundClusterName(port: number): string {
  return `inbound|${port}||`;
}

/** The app behind each port: where the client wanted to go, from 127.0.0.6 or as the client. */
export function inboundClusters(input: SidecarInput): readonly JsonObject[] {
  const names = [...input.inboundPorts.map(({ port }) => inboundClusterName(port)), PASSTHROUGH];
  const { ipv4, ipv6 } = PASSTHROUGH_SOURCE;
  const bind = {
    source_address: { address: ipv4, port_value: 0 },
    ...(input.hasIpv6 && {
      extra_source_addresses: [{ address: { address: ipv6, port_value: 0 } }],
    }),
  };
  return names.map((name) => ({
    name,
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    connect_timeout: '10s',
    // With TPROXY the socket is bound to the client's own address by original_src.
    ...(!input.isTproxy && { upstream_bind_config: bind }),
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} },
      },
    },
  }));
}
