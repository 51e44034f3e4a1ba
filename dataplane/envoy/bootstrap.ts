import { SIDECAR_PORTS } from '../redirect/sidecar-constants.ts';
import { hboneListeners, mainInternalCluster } from './hbone-in.ts';
import { connectOriginateCluster, connectOriginateListener } from './hbone-out.ts';
import { inboundClusters, inboundListener } from './inbound.ts';
import { envoyExtension, type JsonObject, socketAddress } from './json.ts';
import { outboundClusters, outboundListeners } from './outbound.ts';
import type { SidecarInput } from './sidecar-input.ts';

const ADMIN_CLUSTER = 'prometheus_stats';

/**
 * The whole configuration of one sidecar's Envoy, static: what Istio's bootstrap and xDS give an
 * istio-proxy, without the filters that only that build has.
 */
export function sidecarBootstrap(input: SidecarInput): JsonObject {
  const { pod, hbone } = input;
  return {
    node: {
      id: `sidecar~${pod.addresses[0]}~${pod.name}.${pod.namespace}~${pod.namespace}.svc.cluster.local`,
      cluster: `${pod.name}.${pod.namespace}`,
    },
    admin: { address: socketAddress('127.0.0.1', SIDECAR_PORTS.admin) },
    bootstrap_extensions: [INTERNAL_LISTENERS],
    static_resources: {
      listeners: [
        ...outboundListeners(input),
        inboundListener(input),
        ...(hbone.listens ? hboneListeners(input) : []),
        ...(hbone.sends ? [connectOriginateListener()] : []),
        ownListener('ready', SIDECAR_PORTS.ready, '/healthz/ready', '/ready'),
        ownListener('metrics', SIDECAR_PORTS.metrics, '/stats/prometheus', '/stats/prometheus'),
      ],
      clusters: [
        ...outboundClusters(input),
        ...inboundClusters(input),
        ...(hbone.listens ? [mainInternalCluster()] : []),
        ...(hbone.sends ? [connectOriginateCluster(input)] : []),
        adminCluster(),
      ],
    },
  };
}

/** Lets a cluster lead to a listener of the same Envoy. */
const INTERNAL_LISTENERS = envoyExtension(
  'envoy.bootstrap.internal_listener',
  'bootstrap.internal_listener.v3.InternalListener',
);

/** One path of Envoy's own; istio-proxy's readiness is asked of the agent, here of Envoy itself. */
function ownListener(name: string, port: number, path: string, at: string): JsonObject {
  return {
    name,
    address: socketAddress('0.0.0.0', port),
    filter_chains: [
      {
        filters: [
          envoyExtension(
            'envoy.filters.network.http_connection_manager',
            'filters.network.http_connection_manager.v3.HttpConnectionManager',
            {
              stat_prefix: name,
              route_config: {
                virtual_hosts: [
                  {
                    name: 'backend',
                    domains: ['*'],
                    routes: [
                      { match: { path }, route: { cluster: ADMIN_CLUSTER, prefix_rewrite: at } },
                    ],
                  },
                ],
              },
              http_filters: [
                envoyExtension('envoy.filters.http.router', 'filters.http.router.v3.Router'),
              ],
            },
          ),
        ],
      },
    ],
  };
}

function adminCluster(): JsonObject {
  return {
    name: ADMIN_CLUSTER,
    type: 'STATIC',
    connect_timeout: '0.250s',
    load_assignment: {
      cluster_name: ADMIN_CLUSTER,
      endpoints: [
        {
          lb_endpoints: [
            { endpoint: { address: socketAddress('127.0.0.1', SIDECAR_PORTS.admin) } },
          ],
        },
      ],
    },
  };
}
