import { formatEndpoint } from './address.ts';
import type { ZtunnelConfig } from './config.ts';

/** Settings under the names and in the forms of ztunnel's `/config_dump`. */
export function dumpConfig(config: ZtunnelConfig): Record<string, unknown> {
  const any = config.ipv6Enabled ? '[::]' : '0.0.0.0';
  const { keepalive, http2, dnsProxyAddress, proxyWorkload } = config;
  return {
    adminAddr: { Localhost: [config.ipv6Enabled, config.ports.admin] },
    caAddress: null,
    caRootCert: 'Static',
    clusterDomain: config.clusterDomain,
    clusterId: config.clusterId,
    connectionWindowSize: http2.connectionWindowBytes,
    dnsProxy: config.dnsProxyEnabled,
    dnsProxyAddr:
      dnsProxyAddress.host === 'localhost'
        ? { Localhost: [config.ipv6Enabled, dnsProxyAddress.port] }
        : { SocketAddr: formatEndpoint(dnsProxyAddress.host) },
    enableEnhancedBaggage: config.responseBaggage,
    fakeCa: true,
    fakeSelfInbound: false,
    frameSize: http2.frameBytes,
    illegalPorts: [15008, 15001, 15006],
    inboundAddr: `${any}:15008`,
    inboundPlaintextAddr: `${any}:15006`,
    inpodPortReuse: config.inpodPortReuse,
    inpodUds: config.inpodUds,
    ipv6Enabled: config.ipv6Enabled,
    localNode: config.nodeName ?? null,
    localhostAppTunnel: config.localhostAppTunnel,
    network: config.network,
    outboundAddr: `${any}:15001`,
    packetMark: config.packetMark ?? null,
    poolMaxStreamsPerConn: config.poolMaxStreams,
    poolUnusedReleaseTimeout: duration(config.poolUnusedReleaseMs),
    preferedServiceNamespace: config.preferredServiceNamespace ?? null,
    proxy: config.proxyEnabled,
    proxyMode: config.proxyMode === 'shared' ? 'Shared' : 'Dedicated',
    proxyWorkloadInformation: proxyWorkload ?? null,
    readinessAddr: { SocketAddr: `${any}:${config.ports.readiness}` },
    requireOriginalSource: config.enableOrigSrc ?? null,
    secretTtl: duration(config.secretTtlMs),
    selfTerminationDeadline: duration(config.terminationDeadlineMs),
    socketConfig: {
      keepaliveEnabled: keepalive.isEnabled,
      keepaliveInterval: duration(keepalive.intervalMs),
      keepaliveRetries: keepalive.retries,
      keepaliveTime: duration(keepalive.timeMs),
      userTimeoutEnabled: keepalive.isUserTimeoutEnabled,
    },
    socks5Addr: null,
    windowSize: http2.streamWindowBytes,
    xdsAddress: null,
    xdsOnDemand: false,
  };
}

function duration(ms: number): { readonly nanos: number; readonly secs: number } {
  const secs = Math.floor(ms / 1000);
  return { nanos: Math.round((ms - secs * 1000) * 1e6), secs };
}
