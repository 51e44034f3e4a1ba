import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFileCa, loadFileCa } from '../../../dataplane/identity/file-ca.ts';
import type { BenchPod, BenchWorld } from './world.ts';

/** One way from a client to the app, its processes kept alive for the whole run. */
export interface Variant {
  readonly name: 'direct' | 'haproxy' | 'ours';
  readonly client: BenchPod;
  readonly host: string;
  readonly httpPort: number;
  readonly sinkPort: number;
  /** The proxies, client's side first; empty for direct. */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

const HTTP_PORT = 8080;
const SINK_PORT = 8090;
const HAPROXY_HTTP = 15301;
const HAPROXY_SINK = 15302;

/** How our own programs are run from source; the measured ztunnel is the bundled one. */
const FROM_SOURCE: readonly string[] = [process.execPath, '--import=tsx'];
const here = (name: string): string => new URL(name, import.meta.url).pathname;

export async function startApp(world: BenchWorld, pod: BenchPod): Promise<ChildProcess> {
  const ports = [String(HTTP_PORT), String(SINK_PORT)];
  const child = world.start(pod, [...FROM_SOURCE, here('app.ts'), ...ports]);
  await firstOutput(child, 'ready');
  return child;
}

/** Arguments that run the load generator with one order. */
export function loadCommand(order: object): readonly string[] {
  return [...FROM_SOURCE, here('load.ts'), JSON.stringify(order)];
}

export function directVariant(client: BenchPod, server: BenchPod): Variant {
  const ports = { httpPort: HTTP_PORT, sinkPort: SINK_PORT };
  return {
    name: 'direct',
    client,
    host: server.ip,
    ...ports,
    pids: [],
    stop: async () => undefined,
  };
}

/** A pair of haproxy in TCP mode, mutual TLS 1.3 between them, one thread each, logs as ours. */
export async function haproxyVariant(
  world: BenchWorld,
  client: BenchPod,
  server: BenchPod,
): Promise<Variant> {
  const ca = createFileCa({ dir: join(world.directory, 'haproxy-ca') });
  const issuer = loadFileCa(ca);
  const certificate = async (name: string): Promise<string> => {
    const identity = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: name };
    const made = await issuer.fetchCertificate(identity);
    const path = join(world.directory, `${name}.pem`);
    writeFileSync(path, `${made.credentials.certificateChain}\n${made.credentials.key}\n`);
    return path;
  };
  const head = `global
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
  const out = (name: string, port: number, to: number, pem: string): string => `listen ${name}
  bind 127.0.0.1:${port}
  server s ${server.ip}:${to} ssl crt ${pem} ca-file ${ca.certFile} ssl-min-ver TLSv1.3
`;
  const into = (name: string, port: number, to: number, pem: string): string => `listen ${name}
  bind ${server.ip}:${port} ssl crt ${pem} ca-file ${ca.certFile} verify required ssl-min-ver TLSv1.3
  server s 127.0.0.1:${to}
`;
  const mine = await certificate('client');
  const theirs = await certificate('server');
  const start = (pod: BenchPod, name: string, config: string): ChildProcess => {
    const file = join(world.directory, `${name}.cfg`);
    writeFileSync(file, config);
    return world.startLogged(pod, name, ['haproxy', '-db', '-f', file]);
  };
  const children = [
    start(
      client,
      'haproxy-client',
      head +
        out('http', HAPROXY_HTTP, HAPROXY_HTTP, mine) +
        out('sink', HAPROXY_SINK, HAPROXY_SINK, mine),
    ),
    start(
      server,
      'haproxy-server',
      head +
        into('http', HAPROXY_HTTP, HTTP_PORT, theirs) +
        into('sink', HAPROXY_SINK, SINK_PORT, theirs),
    ),
  ];
  const ports = { httpPort: HAPROXY_HTTP, sinkPort: HAPROXY_SINK };
  return { name: 'haproxy', client, host: '127.0.0.1', ...ports, ...running(world, children) };
}

/** Our ztunnel, the bundled program in dedicated mode, in two enrolled pods. */
export async function ourVariant(
  world: BenchWorld,
  program: string,
  client: BenchPod,
  server: BenchPod,
): Promise<Variant> {
  const ca = createFileCa({ dir: join(world.directory, `ca-${client.name}`) });
  // ztunnel watches the file's folder: nothing else may change in it.
  const stateFolder = join(world.directory, 'state');
  mkdirSync(stateFolder, { recursive: true });
  const stateFile = join(stateFolder, `${client.name}.yaml`);
  const workloads = [client, server].map((pod) => ({
    uid: `cluster1//v1/Pod/default/${pod.name}`,
    name: pod.name,
    namespace: 'default',
    serviceAccount: pod.name,
    trustDomain: 'cluster.local',
    workloadIps: [pod.ip],
    protocol: 'HBONE',
    node: pod.name,
    clusterId: 'Kubernetes',
    workloadName: pod.name,
    workloadType: 'deployment',
    canonicalName: pod.name,
    canonicalRevision: 'v1',
    services: {},
  }));
  writeFileSync(stateFile, JSON.stringify({ workloads }));
  const children = [client, server].map((pod) =>
    world.startLogged(pod, `ztunnel-${pod.name}`, [process.execPath, program], {
      PROXY_MODE: 'dedicated',
      PROXY_WORKLOAD_INFO: `default/${pod.name}/${pod.name}`,
      LOCAL_XDS_PATH: stateFile,
      XDS_ADDRESS: '',
      FAKE_CA: 'true',
      CA_CERT_FILE: ca.certFile,
      CA_KEY_FILE: ca.keyFile,
      PACKET_MARK: '1337',
      NODE_NAME: pod.name,
      ISTIO_META_DNS_CAPTURE: 'false',
    }),
  );
  const ports = { httpPort: HTTP_PORT, sinkPort: SINK_PORT };
  return { name: 'ours', client, host: server.ip, ...ports, ...running(world, children) };
}

function running(
  world: BenchWorld,
  children: readonly ChildProcess[],
): Pick<Variant, 'pids' | 'stop'> {
  return {
    pids: children.map((child) => child.pid ?? 0),
    stop: async () => {
      await Promise.all(children.map((child) => world.stop(child)));
    },
  };
}

/** Resolves once the child has written `wished`; rejects with its words when it ends before. */
export async function firstOutput(child: ChildProcess, wished: string): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr?.on('data', (part: Buffer) => (said += part.toString()));
    child.stdout?.on('data', (part: Buffer) => {
      said += part.toString();
      if (said.includes(wished)) resolve();
    });
    child.once('exit', (code) => reject(new Error(`Cannot start: exit ${code}, ${said.trim()}`)));
  });
}
