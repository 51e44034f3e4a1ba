import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFileCa } from '../../../dataplane/identity/file-ca.ts';
import { programNode } from '../../hosts/program-node.ts';
import { MEMORY_ENV, ZTUNNEL_FLAGS } from '../../world/program-memory.ts';
import type { BenchPod, BenchWorld } from './world.ts';

/** `haproxyRules` is haproxy behind the rules that Envoy has: see `variants-haproxy.ts`. */
export type VariantName = 'direct' | 'haproxy' | 'haproxyRules' | 'envoy' | 'ours';

/** One way from a client to the app, its processes kept alive for the whole run. */
export interface Variant {
  readonly name: VariantName;
  readonly client: BenchPod;
  readonly host: string;
  readonly httpPort: number;
  readonly sinkPort: number;
  /** The proxies, client's side first; empty for direct. */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/** The app's ports. */
export const HTTP_PORT = 8080;
export const SINK_PORT = 8090;

/** How our own programs are run from source; the measured ztunnel is the bundled one. */
const FROM_SOURCE: readonly string[] = [programNode(), '--import=tsx'];
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
    world.startLogged(pod, `ztunnel-${pod.name}`, [programNode(), ...ZTUNNEL_FLAGS, program], {
      env: {
        ...MEMORY_ENV,
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
      },
    }),
  );
  const ports = { httpPort: HTTP_PORT, sinkPort: SINK_PORT };
  return { name: 'ours', client, host: server.ip, ...ports, ...running(world, children) };
}

/** Processes of a variant and how they end. */
export function running(
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
