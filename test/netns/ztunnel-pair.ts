import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import {
  echoTwice,
  type Pod,
  roundTrip,
  serve,
  TestZtunnel,
  workload,
  World,
} from './ztunnel-world.ts';

/** The losing side of a race must not keep the test process. */
export const UNREFERENCED = { ref: false };

export const GONE = 'nothing came back';
/** A connection closed after accept: RST when bytes were unread, else FIN. */
export const REFUSED = /^(nothing came back|ECONNRESET|EPIPE)$/;

/** What a client sees of a connection that is refused: nothing, or its error's code. */
export async function outcome(pod: Pod, host: string, port: number): Promise<string> {
  const late = sleep(3000, 'timeout', UNREFERENCED);
  const seen = roundTrip(pod, host, port).then(
    (got) => got || GONE,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
  return Promise.race([seen, late]);
}

export const httpStatus = (response: string): number => Number(response.split(' ')[1]);
export const spiffe = (name: string): string => `spiffe://cluster.local/ns/default/sa/${name}`;

export const SERVER_SERVICE = {
  name: 'server',
  namespace: 'default',
  hostname: 'server.default.svc.cluster.local',
  vips: ['/10.96.0.10'],
  ports: { 80: 8080, 81: 0 },
};
export const MEMBER = { 'default/server.default.svc.cluster.local': { 80: 8080, 81: 8080 } };

export interface Pair {
  readonly world: World;
  readonly zt: TestZtunnel;
  readonly client: Pod;
  readonly server: Pod;
  readonly plain: Pod;
  /** State of the pair, for tests that change it. */
  readonly state: { workloads: unknown[]; services: unknown[]; policies: unknown[] };
}

/** One node with a captured client and server, and a pod outside the mesh; all set up over ZDS. */
export async function pair(t: Test, env: Record<string, string> = {}): Promise<Pair> {
  const world = new World();
  t.teardown(() => world.close());
  const client = world.pod('client', true);
  const server = world.pod('server', true);
  const plain = world.pod('plain', false);
  const state = {
    workloads: [
      workload(client),
      workload(server, { services: MEMBER }),
      workload(plain, { protocol: 'TCP', node: 'remote-node' }),
    ],
    services: [SERVER_SERVICE],
    policies: [],
  };
  world.setState(state);
  const zt = new TestZtunnel(world, 'node', env);
  t.equal((await zt.hello).toString('hex'), '0801', 'ZdsHello V1');
  t.equal(await zt.add(client), '');
  t.equal(await zt.add(server), '');
  t.equal(await zt.snapshot(), '');
  await serve(world, server, 8080, echoTwice);
  await serve(world, plain, 8080, echoTwice);
  return { world, zt, client, server, plain, state };
}
