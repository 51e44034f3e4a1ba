import { setTimeout as sleep } from 'node:timers/promises';
import type { PodPlan } from '../../plan/plan.ts';
import { createLab } from '../../world/client.ts';
import type { Lab } from '../../world/lab.ts';
import { seenFromOutside } from '../../world/paths.ts';
import { programArgv } from '../../world/programs.ts';
import type { LoadOrder } from '../load/load-order.ts';
import type { ProcessPlace } from '../process-cost.ts';
import {
  benchPlan,
  CLIENT_POD,
  NAMESPACE,
  PLACEMENTS,
  PORTS,
  SERVER_POD,
  type Placement,
} from './bench-plan.ts';
import { startForeignZtunnels, type ZtunnelsOfPods } from './foreign-ztunnel.ts';
import { startInLab } from './in-lab.ts';
import { LoadClient, LoadError } from './load-client.ts';
import { isEra, type ModeName, titleOf } from './modes.ts';

/** Length of the answers: what Istio measures its own releases with. */
export const BODY_BYTES = 1_024;

/** A proxy that requests of a placement go through. */
export interface Proxy {
  readonly name: string;
  readonly side: 'client' | 'server' | 'both';
  readonly place: ProcessPlace;
}

/** One mode, built and serving: a lab of its own, the app in it, and a load generator. */
export interface BenchLab extends AsyncDisposable {
  readonly mode: ModeName;
  readonly lab: Lab;
  readonly load: LoadClient;
  readonly proxies: Readonly<Record<Placement, readonly Proxy[]>>;
  readonly app: Readonly<Record<Placement, ProcessPlace>>;
  /** Where the client finds the app, or the port that swallows bytes: the address of a service. */
  readonly targetOf: (
    placement: Placement,
    kind: LoadOrder['kind'],
  ) => Pick<LoadOrder, 'host' | 'port'>;
}

export interface BenchLabOptions {
  /** Name of the lab. */
  readonly name: string;
  /** What is started as ztunnel in mode `ztunnel`. */
  readonly ztunnel?: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Many short connections between the same two addresses: all ports, used again after a second, and
 * conntrack entries that go soon. The same in every mode.
 */
const SYSCTLS = `cd /proc/sys/net
echo 20000 65000 > ipv4/ip_local_port_range
echo 1 > ipv4/tcp_tw_reuse
[ ! -e netfilter/nf_conntrack_tcp_timeout_time_wait ] ||
  echo 1 > netfilter/nf_conntrack_tcp_timeout_time_wait`;

/**
 * Builds the lab of a mode and resolves when requests come back from both servers. Its programs
 * write no evidence: what proving costs is not what is measured.
 *
 * @throws LabError LAB_PROGRAM_MISSING without an Envoy for sidecars, and others of building
 */
export async function startBenchLab(mode: ModeName, options: BenchLabOptions): Promise<BenchLab> {
  const { name, signal, ztunnel = [] } = options;
  const plan = benchPlan(mode, name);
  const withoutMesh = !isEra(mode);
  const lab = await createLab(plan, { withoutMesh, withoutEvidence: true, signal });
  try {
    await setSysctls(lab);
    const foreign = mode === 'ztunnel' ? await startForeignZtunnels(lab, ztunnel) : undefined;
    const app = {
      'other-node': await startApp(lab, 'other-node'),
      'same-node': await startApp(lab, 'same-node'),
    };
    const load = await LoadClient.start(
      lab.execArgv(`${NAMESPACE}/${CLIENT_POD}`, programArgv('bench-load')),
    );
    const built = {
      mode,
      lab,
      load,
      app,
      proxies: await findProxies(lab, foreign),
      targetOf: (placement: Placement, kind: LoadOrder['kind']) => targetOf(lab, placement, kind),
      [Symbol.asyncDispose]: async () => {
        await load[Symbol.asyncDispose]();
        await lab[Symbol.asyncDispose]();
      },
    };
    for (const placement of PLACEMENTS) await untilServed(built, placement, signal);
    return built;
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
}

async function setSysctls(lab: Lab): Promise<void> {
  const { nodes, pods } = lab.plan;
  const places = [
    ...nodes.map((node) => node.name),
    ...pods.map((pod) => `${pod.namespace}/${pod.name}`),
  ];
  const codes = await Promise.all(
    places.map((place) => lab.exec(place, ['sh', '-ec', SYSCTLS], { stdio: 'ignore' })),
  );
  if (codes.every((code) => code === 0)) return;
  throw new LoadError('Cannot prepare the pods for many connections: the kernel refuses a setting');
}

async function startApp(lab: Lab, placement: Placement): Promise<number> {
  const ports = [PORTS.http.pod, PORTS.sink.pod, BODY_BYTES].map(String);
  const pod = SERVER_POD[placement];
  const argv = [...programArgv('bench-app'), ...ports];
  const app = await startInLab(lab, `${NAMESPACE}/${pod}`, argv, {
    name: `app-${pod}`,
    says: 'ready',
  });
  return app.pid;
}

function targetOf(
  { plan }: Lab,
  placement: Placement,
  kind: LoadOrder['kind'],
): Pick<LoadOrder, 'host' | 'port'> {
  const service = plan.services.find(({ name }) => name === SERVER_POD[placement]);
  const port = kind === 'throughput' ? PORTS.sink.service : PORTS.http.service;
  return { host: service?.vip ?? '', port };
}

/** The processes between client and server: one ztunnel a node, one proxy a pod, or none. */
async function findProxies(
  lab: Lab,
  foreign: ZtunnelsOfPods | undefined,
): Promise<BenchLab['proxies']> {
  const { processes } = await lab.status();
  const podOf = (name: string): PodPlan | undefined =>
    lab.plan.pods.find((pod) => pod.name === name && pod.namespace === NAMESPACE);
  const placeOf = (podName: string): Omit<Proxy, 'side'> | undefined => {
    const own = foreign?.get(podName);
    if (own !== undefined) return { name: `ztunnel of ${podName}`, place: own.pid };
    const pod = podOf(podName);
    const found = processes.find(
      ({ kind, node, netns }) =>
        (kind === 'ztunnel' && node === pod?.node) || (kind === 'envoy' && netns === pod?.netns),
    );
    if (found?.pid === undefined) return undefined;
    return { name: found.name, place: seenFromOutside(lab, `/proc/${found.pid}`) };
  };
  const between = (placement: Placement): readonly Proxy[] => {
    const client = placeOf(CLIENT_POD);
    const server = placeOf(SERVER_POD[placement]);
    if (client === undefined || server === undefined) return [];
    if (client.place === server.place) return [{ ...client, side: 'both' }];
    return [
      { ...client, side: 'client' },
      { ...server, side: 'server' },
    ];
  };
  return { 'other-node': between('other-node'), 'same-node': between('same-node') };
}

const SERVED_MS = 30_000;
const PROBE = { connections: 2, rate: 100, warmUpMs: 0, windowMs: 100 } as const;

/** Requests come back one after another; a proxy needs a moment to be ready. */
async function untilServed(
  { mode, load, targetOf: target }: BenchLab,
  placement: Placement,
  signal: AbortSignal | undefined,
): Promise<void> {
  const until = performance.now() + SERVED_MS;
  const ignore = { onOpened: () => undefined, onClosed: () => undefined };
  let last = '';
  while (performance.now() < until) {
    signal?.throwIfAborted();
    const order = { ...PROBE, ...target(placement, 'open-loop'), kind: 'open-loop' } as const;
    const result = await load.run(order, ignore).catch((error: Error) => {
      last = error.message;
      return undefined;
    });
    if (result !== undefined && result.failures === 0 && result.done > 0) return;
    if (result !== undefined) last = `${result.failures} requests failed`;
    await sleep(100, undefined, { signal });
  }
  throw new LoadError(`Cannot measure "${titleOf(mode)}" on the ${placement}: ${last}`);
}
