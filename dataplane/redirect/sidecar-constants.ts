/** Ports of a sidecar in its pod (facts: Istio `tools/istio-iptables/pkg/constants`). */
export const SIDECAR_PORTS = {
  admin: 15000,
  outbound: 15001,
  inbound: 15006,
  hbone: 15008,
  status: 15020,
  ready: 15021,
  dns: 15053,
  metrics: 15090,
} as const;

/** User and group of Envoy, by which its own traffic is told from the app's. */
export const SIDECAR_UID = 1337;

/** Source of what Envoy hands to the app, where the client's own is not kept. */
export const PASSTHROUGH_SOURCE = { ipv4: '127.0.0.6', ipv6: '::6' } as const;

/** Marks and routing table of interception mode TPROXY. */
export const SIDECAR_TPROXY = { mark: 1337, outboundMark: 1338, table: 133 } as const;
