import { type Endpoint, parseEndpoint } from './address.ts';
import { ConfigError } from './config-error.ts';
import { type Env, EnvReader } from './env-reader.ts';
import { DEFAULT_LOG_FILTER, type LogFilter, parseLogFilter } from './log.ts';

/** What the node agent says of a pod, and dedicated mode of the one workload it serves. */
export interface WorkloadIdentity {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** Keepalive of sockets; times in milliseconds. */
export interface KeepaliveConfig {
  readonly isEnabled: boolean;
  readonly timeMs: number;
  readonly intervalMs: number;
  readonly retries: number;
  readonly isUserTimeoutEnabled: boolean;
}

export interface Http2Config {
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  readonly frameBytes: number;
}

export type StaticStateSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'inline'; readonly yaml: string };

/** All settings of the process, from its environment (facts: ztunnel `src/config.rs`). */
export interface ZtunnelConfig {
  readonly proxyMode: 'shared' | 'dedicated';
  readonly proxyEnabled: boolean;
  /** false: shared mode of 1.18 to 1.20, sockets in ztunnel's own namespace for all pods of a node. */
  readonly inpodEnabled: boolean;
  /** Own address (`INSTANCE_IP`): calls to own ports on it are loops. */
  readonly instanceIp?: string;
  /** Ours: false makes a tunnel for each request, as 1.18 did. */
  readonly poolEnabled: boolean;
  /** Present in dedicated mode. */
  readonly proxyWorkload?: WorkloadIdentity;
  readonly nodeName?: string;
  readonly network: string;
  readonly clusterId: string;
  readonly clusterDomain: string;
  /** SO_MARK of every socket in a pod; undefined for none. */
  readonly packetMark?: number;
  readonly inpodUds: string;
  readonly inpodPortReuse: boolean;
  readonly ipv6Enabled: boolean;
  /** true: must work; false: never tried; undefined: best effort. */
  readonly enableOrigSrc?: boolean;
  readonly keepalive: KeepaliveConfig;
  readonly http2: Http2Config;
  readonly poolMaxStreams: number;
  readonly poolUnusedReleaseMs: number;
  readonly terminationDeadlineMs: number;
  readonly state?: StaticStateSource;
  readonly caCertFile: string;
  readonly caKeyFile: string;
  readonly secretTtlMs: number;
  readonly preferredServiceNamespace?: string;
  readonly localhostAppTunnel: boolean;
  readonly responseBaggage: boolean;
  readonly policyInfoLogging: boolean;
  readonly dnsProxyEnabled: boolean;
  /** Whose namespace questions are forwarded from; ours, for rules that capture the proxy's DNS too. */
  readonly dnsForwardsFrom: 'pod' | 'process';
  readonly dnsProxyAddress: { readonly host: 'localhost' | Endpoint; readonly port: number };
  readonly ports: { readonly admin: number; readonly readiness: number };
  readonly logFilter: LogFilter;
  readonly logFormat: 'plain' | 'json';
  /** Ours: TLS secrets in NSS key log format are appended to this file. */
  readonly sslKeyLogFile?: string;
  /** Ours: one JSON line per connection (`leg-record.ts`) is appended to this file. */
  readonly legLog?: string;
  /** Servers for names that are not of the mesh. */
  readonly resolvConf: string;
}

const MARK_DEFAULT_SHARED = 1337;
const MIB = 1024 * 1024;

/** Settings that stand for parts which do not exist here: refused rather than silently ignored. */
const UNSUPPORTED: readonly (readonly [
  variable: string,
  allowed: readonly string[],
  why: string,
])[] = [
  [
    'CA_ADDRESS',
    [],
    'the CA client over gRPC is not built yet: sign with CA_CERT_FILE, CA_KEY_FILE',
  ],
  ['CRL_PATH', [], 'revocation lists are not supported yet'],
  ['TLS12_ENABLED', ['false'], 'only TLS 1.3 is supported'],
  ['COMPLIANCE_POLICY', [], 'compliance policies are not supported yet'],
  ['UNSTABLE_ENABLE_SOCKS5', ['false'], 'the SOCKS5 listener is not supported yet'],
  ['XDS_ON_DEMAND', ['false'], 'xDS is not supported yet'],
];

function refuseUnsupported(read: EnvReader): void {
  const xds = read.text('XDS_ADDRESS');
  if (xds !== '') {
    throw new ConfigError(
      'XDS_ADDRESS',
      xds,
      'the empty string, set explicitly (xDS is not supported yet: use LOCAL_XDS_PATH)',
    );
  }
  for (const [name, allowed, why] of UNSUPPORTED) {
    const value = read.nonEmpty(name);
    if (value !== undefined && !allowed.includes(value)) {
      throw new ConfigError(name, value, `it unset: ${why}`);
    }
  }
}

function readWorkload(read: EnvReader, mode: 'shared' | 'dedicated'): WorkloadIdentity | undefined {
  if (mode === 'shared') return undefined;
  const value = read.nonEmpty('PROXY_WORKLOAD_INFO');
  const [namespace, name, serviceAccount, ...rest] = (value ?? '').split('/');
  if (!namespace || !name || !serviceAccount || rest.length > 0) {
    throw new ConfigError('PROXY_WORKLOAD_INFO', value, 'namespace/name/service-account');
  }
  return { namespace, name, serviceAccount };
}

function readState(read: EnvReader): StaticStateSource | undefined {
  const path = read.nonEmpty('LOCAL_XDS_PATH');
  const yaml = read.nonEmpty('LOCAL_XDS');
  if (path !== undefined && yaml !== undefined) {
    throw new ConfigError('LOCAL_XDS', yaml, 'it unset when LOCAL_XDS_PATH is set');
  }
  if (path !== undefined) return { kind: 'file', path };
  return yaml === undefined ? undefined : { kind: 'inline', yaml };
}

function readCa(read: EnvReader): { caCertFile: string; caKeyFile: string } {
  if (read.boolean('FAKE_CA') === false) {
    throw new ConfigError('FAKE_CA', 'false', 'true: certificates can only come from CA files yet');
  }
  const wanted = 'a PEM file of the CA that signs workload certificates';
  const caCertFile = read.nonEmpty('CA_CERT_FILE');
  const caKeyFile = read.nonEmpty('CA_KEY_FILE');
  if (caCertFile === undefined) throw new ConfigError('CA_CERT_FILE', undefined, wanted);
  if (caKeyFile === undefined) throw new ConfigError('CA_KEY_FILE', undefined, wanted);
  return { caCertFile, caKeyFile };
}

/** Deadline of a drain: ztunnel `src/config.rs`, from the pod's grace period with some seconds spare. */
function readTerminationDeadlineMs(read: EnvReader): number {
  const own = read.durationMs('CONNECTION_TERMINATION_DEADLINE');
  if (own !== undefined) return own;
  const grace = read.integer('TERMINATION_GRACE_PERIOD_SECONDS', 0, 1_000_000);
  if (grace === undefined) return 5000;
  return (grace > 10 ? grace - 5 : Math.max(grace - 1, 1)) * 1000;
}

function readDnsAddress(read: EnvReader): ZtunnelConfig['dnsProxyAddress'] {
  const value = read.nonEmpty('ISTIO_META_DNS_PROXY_ADDR') ?? 'localhost:15053';
  const local = /^localhost:(\d{1,5})$/.exec(value);
  if (local && Number(local[1]) <= 65535) return { host: 'localhost', port: Number(local[1]) };
  const endpoint = parseEndpoint(value);
  if (!endpoint) {
    throw new ConfigError('ISTIO_META_DNS_PROXY_ADDR', value, 'localhost:port or ip:port');
  }
  return { host: endpoint, port: endpoint.port };
}

function readLogFilter(read: EnvReader): LogFilter {
  const value = read.nonEmpty('RUST_LOG');
  if (value === undefined) return DEFAULT_LOG_FILTER;
  const filter = parseLogFilter(value, DEFAULT_LOG_FILTER);
  if (!filter) {
    throw new ConfigError(
      'RUST_LOG',
      value,
      'levels and scope=level pairs, such as info,access=debug',
    );
  }
  return filter;
}

function readKeepalive(read: EnvReader): KeepaliveConfig {
  return {
    isEnabled: read.boolean('KEEPALIVE_ENABLED') ?? true,
    timeMs: read.durationMs('KEEPALIVE_TIME') ?? 180_000,
    intervalMs: read.durationMs('KEEPALIVE_INTERVAL') ?? 180_000,
    retries: read.integer('KEEPALIVE_RETRIES', 1, 127) ?? 9,
    isUserTimeoutEnabled: read.boolean('USER_TIMEOUT_ENABLED') ?? false,
  };
}

function readHttp2(read: EnvReader): Http2Config {
  const maxWindow = 0x7fffffff;
  return {
    streamWindowBytes: read.integer('HTTP2_STREAM_WINDOW_SIZE', 65_535, maxWindow) ?? 4 * MIB,
    connectionWindowBytes:
      read.integer('HTTP2_CONNECTION_WINDOW_SIZE', 65_535, maxWindow) ?? 16 * MIB,
    frameBytes: read.integer('HTTP2_FRAME_SIZE', 16_384, 0xffffff) ?? MIB,
  };
}

function readProxyParts(read: EnvReader): { proxyEnabled: boolean; dnsProxyEnabled: boolean } {
  const proxyEnabled = read.boolean('ENABLE_PROXY') ?? true;
  const dnsProxyEnabled = read.boolean('ISTIO_META_DNS_CAPTURE') ?? true;
  if (!proxyEnabled && !dnsProxyEnabled) {
    throw new ConfigError('ENABLE_PROXY', 'false', 'true when ISTIO_META_DNS_CAPTURE is false');
  }
  return { proxyEnabled, dnsProxyEnabled };
}

/**
 * Settings from the environment.
 * @throws ConfigError on the first variable that cannot be used.
 */
export function loadConfig(env: Env): ZtunnelConfig {
  const read = new EnvReader(env);
  refuseUnsupported(read);
  const proxyMode = read.choice('PROXY_MODE', ['shared', 'dedicated'] as const) ?? 'shared';
  const mark = read.integer('PACKET_MARK', 0, 0xffffffff);
  const inpodEnabled = read.boolean('INPOD_ENABLED') ?? true;
  return {
    proxyMode,
    ...readProxyParts(read),
    proxyWorkload: readWorkload(read, proxyMode),
    nodeName: read.nonEmpty('NODE_NAME'),
    network: read.text('NETWORK') ?? '',
    clusterId:
      read.nonEmpty('ISTIO_META_CLUSTER_ID') ?? read.nonEmpty('CLUSTER_ID') ?? 'Kubernetes',
    clusterDomain: read.nonEmpty('CLUSTER_DOMAIN') ?? 'cluster.local',
    inpodEnabled,
    instanceIp: read.nonEmpty('INSTANCE_IP'),
    poolEnabled: read.boolean('POOL_ENABLED') ?? true,
    packetMark: mark ?? (proxyMode === 'shared' && inpodEnabled ? MARK_DEFAULT_SHARED : undefined),
    inpodUds: read.nonEmpty('INPOD_UDS') ?? '/var/run/ztunnel/ztunnel.sock',
    inpodPortReuse: read.boolean('INPOD_PORT_REUSE') ?? true,
    ipv6Enabled: read.boolean('IPV6_ENABLED') ?? true,
    enableOrigSrc: read.boolean('ENABLE_ORIG_SRC'),
    keepalive: readKeepalive(read),
    http2: readHttp2(read),
    poolMaxStreams: read.integer('POOL_MAX_STREAMS_PER_CONNECTION', 1, 65_535) ?? 100,
    poolUnusedReleaseMs: read.durationMs('POOL_UNUSED_RELEASE_TIMEOUT') ?? 300_000,
    terminationDeadlineMs: readTerminationDeadlineMs(read),
    state: readState(read),
    ...readCa(read),
    secretTtlMs: read.durationMs('SECRET_TTL') ?? 86_400_000,
    preferredServiceNamespace: read.nonEmpty('PREFERED_SERVICE_NAMESPACE'),
    localhostAppTunnel: read.boolean('LOCALHOST_APP_TUNNEL') ?? true,
    responseBaggage: read.boolean('ENABLE_RESPONSE_BAGGAGE') ?? true,
    policyInfoLogging: read.boolean('AUTHZ_POLICY_INFO_LOGGING') ?? false,
    dnsForwardsFrom: read.choice('DNS_FORWARD_NETNS', ['pod', 'process'] as const) ?? 'pod',
    dnsProxyAddress: readDnsAddress(read),
    ports: {
      admin: read.integer('ADMIN_PORT', 1, 65_535) ?? 15000,
      readiness: read.integer('READINESS_PORT', 1, 65_535) ?? 15021,
    },
    logFilter: readLogFilter(read),
    logFormat: read.choice('LOG_FORMAT', ['plain', 'json'] as const) ?? 'plain',
    sslKeyLogFile: read.nonEmpty('SSLKEYLOGFILE'),
    legLog: read.nonEmpty('LEG_LOG'),
    resolvConf: read.nonEmpty('RESOLV_CONF') ?? '/etc/resolv.conf',
  };
}
