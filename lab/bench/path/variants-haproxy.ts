import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFileCa, loadFileCa } from '../../../dataplane/identity/file-ca.ts';
import {
  PASSTHROUGH_SOURCE,
  SIDECAR_PORTS,
  SIDECAR_UID,
} from '../../../dataplane/redirect/sidecar-constants.ts';
import { HTTP_PORT, SINK_PORT, running, type Variant } from './variants.ts';
import type { BenchPod, BenchWorld } from './world.ts';

const HAPROXY_HTTP = 15301;
const HAPROXY_SINK = 15302;

const HEAD = `global
  nbthread 1
  maxconn 9000
  ssl-server-verify required
  log stdout format raw local0
defaults
  mode tcp
  log global
  option tcplog
  timeout connect 5s
  timeout client 300s
  timeout server 300s
`;

/** Mutual TLS of the two: what a server line says of it, and a bind line. */
interface Ends {
  readonly client: string;
  readonly server: string;
}

/**
 * A pair of haproxy in TCP mode, mutual TLS 1.3 between them, one thread each, logs as ours. Nothing
 * redirects to them: the client calls haproxy, as in the prototypes that the bars come from.
 */
export async function haproxyVariant(
  world: BenchWorld,
  client: BenchPod,
  server: BenchPod,
): Promise<Variant> {
  const tls = await tlsOf(world, 'haproxy');
  const out = (name: string, port: number): string => `listen ${name}
  bind 127.0.0.1:${port}
  server s ${server.ip}:${port} ${tls.client}
`;
  const into = (name: string, port: number, to: number): string => `listen ${name}
  bind ${server.ip}:${port} ${tls.server}
  server s 127.0.0.1:${to}
`;
  const children = [
    start(world, client, 'haproxy-client', out('http', HAPROXY_HTTP) + out('sink', HAPROXY_SINK)),
    start(
      world,
      server,
      'haproxy-server',
      into('http', HAPROXY_HTTP, HTTP_PORT) + into('sink', HAPROXY_SINK, SINK_PORT),
    ),
  ];
  const ports = { httpPort: HAPROXY_HTTP, sinkPort: HAPROXY_SINK };
  return { name: 'haproxy', client, host: '127.0.0.1', ...ports, ...running(world, children) };
}

/**
 * The same pair as the proxies of two injected pods: reached by the REDIRECT rules of a sidecar, with
 * Envoy's user and ports. It pays for netfilter what a proxy of a mesh pays.
 */
export async function haproxyRulesVariant(
  world: BenchWorld,
  client: BenchPod,
  server: BenchPod,
): Promise<Variant> {
  const tls = await tlsOf(world, 'haproxy-rules');
  // Server 0.0.0.0:0 is where the client wanted to go, by SO_ORIGINAL_DST.
  const out = `listen outbound
  bind 0.0.0.0:${SIDECAR_PORTS.outbound}
  server s 0.0.0.0:0 ${tls.client}
`;
  const into = `listen inbound
  bind 0.0.0.0:${SIDECAR_PORTS.inbound} ${tls.server}
  server s 0.0.0.0:0 source ${PASSTHROUGH_SOURCE.ipv4}
`;
  const children = [
    start(world, client, 'haproxy-rules-client', out, SIDECAR_UID),
    start(world, server, 'haproxy-rules-server', into, SIDECAR_UID),
  ];
  const ports = { httpPort: HTTP_PORT, sinkPort: SINK_PORT };
  return { name: 'haproxyRules', client, host: server.ip, ...ports, ...running(world, children) };
}

async function tlsOf(world: BenchWorld, name: string): Promise<Ends> {
  const files = createFileCa({ dir: join(world.directory, `${name}-ca`) });
  const issuer = loadFileCa(files);
  const roots = world.write(`${name}-roots.pem`, readFileSync(files.certFile, 'utf8'));
  const common = `ca-file ${roots} ssl-min-ver TLSv1.3`;
  const certificate = async (end: string): Promise<string> => {
    const identity = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: end };
    const { credentials } = await issuer.fetchCertificate(identity);
    const pem = `${credentials.certificateChain}\n${credentials.key}\n`;
    return world.write(`${name}-${end}.pem`, pem);
  };
  return {
    client: `ssl crt ${await certificate('client')} ${common}`,
    server: `ssl crt ${await certificate('server')} verify required ${common}`,
  };
}

function start(
  world: BenchWorld,
  pod: BenchPod,
  name: string,
  config: string,
  uid = 0,
): ChildProcess {
  const file = world.write(`${name}.cfg`, HEAD + config);
  return world.startLogged(pod, name, ['haproxy', '-db', '-f', file], { uid });
}
