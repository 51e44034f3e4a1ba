import { setTimeout as sleep } from 'node:timers/promises';
import { measure, type LoadToMeasure, type Measured } from './measure.ts';
import { residentBytes } from '../process-cost.ts';
import { envoyVariant } from './variants-envoy.ts';
import { haproxyRulesVariant, haproxyVariant } from './variants-haproxy.ts';
import { directVariant, ourVariant, startApp, type Variant, type VariantName } from './variants.ts';
import { type BenchPod, BenchWorld } from './world.ts';

export interface BenchOptions {
  /** The bundled ztunnel program. */
  readonly program: string;
  /** Envoy's program; its variant is left out when absent. */
  readonly envoy: string | undefined;
  /** Congestion control of all pods; the machine's default when absent. */
  readonly congestion: string | undefined;
  readonly rounds: number;
  /** Length of each measured window. */
  readonly seconds: number;
  readonly onProgress: (text: string) => void;
}

export type LoadName =
  'latency' | 'saturation' | 'connections' | 'stream1' | 'stream4' | 'besideStream';

const GIGABIT_IN_BYTES = 1e9 / 8;

const LOADS: Readonly<Record<LoadName, Omit<LoadToMeasure, 'seconds'>>> = {
  latency: { kind: 'latency', connections: 16, rate: 1_000 },
  saturation: { kind: 'closed', connections: 64 },
  connections: { kind: 'connections', connections: 32 },
  stream1: { kind: 'throughput', connections: 1 },
  stream4: { kind: 'throughput', connections: 4 },
  besideStream: {
    kind: 'latency',
    connections: 16,
    rate: 1_000,
    beside: { kind: 'throughput', connections: 1, rate: GIGABIT_IN_BYTES },
  },
};

/** Measurements by load and variant, one a round, round by round. */
export type Samples = Readonly<
  Record<LoadName, Readonly<Partial<Record<VariantName, readonly Measured[]>>>>
>;

export interface MemoryCost {
  /** Peak resident bytes of each ztunnel after all loads, client's side first. */
  readonly peakBytes: readonly number[];
  /** Growth per idle connection of each ztunnel of a fresh pair that holds 1,000. */
  readonly idleBytes: readonly number[];
}

export interface BenchResult {
  readonly samples: Samples;
  readonly memory: MemoryCost;
}

const IDLE_CONNECTIONS = 1_000;

/**
 * All variants alive together, measured in turn, round after round, the order turning with each, so
 * that whatever else the machine does falls on all alike.
 */
export async function runBench(options: BenchOptions): Promise<BenchResult> {
  await using world = new BenchWorld(options.congestion);
  const variants = await startVariants(world, options);
  for (const variant of variants) await untilServed(world, variant);
  const samples = await sample(world, variants, options);
  const ours = variants.find(({ name }) => name === 'ours')!;
  const peakBytes = ours.pids.map((pid) => residentBytes(pid).peak);
  await ours.stop();
  const pair = await startPair(world, 'idle', 'enrol');
  const fresh = await ourVariant(world, options.program, ...pair);
  await untilServed(world, fresh);
  options.onProgress(`holding ${IDLE_CONNECTIONS} idle connections`);
  return { samples, memory: { peakBytes, idleBytes: await idleCost(world, fresh) } };
}

/** Each where its kind of proxy lives: without rules, in injected pods, in enrolled ones. */
async function startVariants(world: BenchWorld, options: BenchOptions): Promise<Variant[]> {
  const { program, envoy } = options;
  const plain = await startPair(world, 'plain');
  const variants = [
    directVariant(...plain),
    await haproxyVariant(world, ...plain),
    await haproxyRulesVariant(world, ...(await startPair(world, 'haproxy', 'inject'))),
  ];
  if (envoy !== undefined) {
    const injected = await startPair(world, 'envoy', 'inject');
    variants.push(await envoyVariant(world, envoy, ...injected));
  }
  return [
    ...variants,
    await ourVariant(world, program, ...(await startPair(world, 'mesh', 'enrol'))),
  ];
}

/** Two pods with the same redirect, client's first, the app in the other. */
async function startPair(
  world: BenchWorld,
  name: string,
  redirect?: 'inject' | 'enrol',
): Promise<[BenchPod, BenchPod]> {
  const client = world.addPod(`${name}-client`);
  const server = world.addPod(`${name}-server`);
  if (redirect) await Promise.all([world[redirect](client), world[redirect](server)]);
  await startApp(world, server);
  return [client, server];
}

async function sample(
  world: BenchWorld,
  variants: readonly Variant[],
  options: BenchOptions,
): Promise<Samples> {
  const samples = Object.fromEntries(
    Object.keys(LOADS).map((load) => [load, Object.fromEntries(variants.map((v) => [v.name, []]))]),
  ) as unknown as Record<LoadName, Record<VariantName, Measured[]>>;
  // Round 0 warms everything up (a JIT needs thousands of connections) and is thrown away.
  for (let round = 0; round <= options.rounds; round++) {
    for (const name of Object.keys(LOADS) as LoadName[]) {
      for (let i = 0; i < variants.length; i++) {
        const variant = variants[(round + i) % variants.length]!;
        const place = round === 0 ? 'warm-up' : `round ${round} of ${options.rounds}`;
        options.onProgress(`${place}: ${name}, ${variant.name}`);
        const load = { ...LOADS[name], seconds: options.seconds };
        const measured = await measure(world, variant, load);
        if (round > 0) samples[name][variant.name].push(measured);
      }
    }
  }
  return samples;
}

/** A variant serves once a few requests in a row came back; ztunnel needs a moment to be ready. */
async function untilServed(world: BenchWorld, variant: Variant): Promise<void> {
  const load = { kind: 'hold', connections: 5, seconds: 0 } as const;
  for (let attempt = 0; attempt < 40; attempt++) {
    const result = await measure(world, variant, load).catch(() => undefined);
    if (result !== undefined && result.done === 5 && result.failures === 0) return;
    await sleep(250);
  }
  throw new Error(`Cannot measure "${variant.name}": it answers no request`);
}

/** Resident growth per held connection, after a warm-up of as many short ones. */
async function idleCost(world: BenchWorld, variant: Variant): Promise<number[]> {
  await measure(world, variant, { kind: 'hold', connections: IDLE_CONNECTIONS / 2, seconds: 0 });
  await sleep(1_000);
  const before = variant.pids.map((pid) => residentBytes(pid).now);
  const holding = measure(world, variant, {
    kind: 'hold',
    connections: IDLE_CONNECTIONS,
    seconds: 3,
  });
  let during = before;
  const watch = setInterval(() => {
    during = variant.pids.map((pid, i) => Math.max(during[i]!, residentBytes(pid).now));
  }, 250);
  const result = await holding.finally(() => clearInterval(watch));
  if (result.done !== IDLE_CONNECTIONS || result.failures > 0) {
    throw new Error(`Cannot hold ${IDLE_CONNECTIONS} connections: ${JSON.stringify(result)}`);
  }
  return during.map((bytes, i) => (bytes - before[i]!) / IDLE_CONNECTIONS);
}
