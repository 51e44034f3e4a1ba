import { setTimeout as sleep } from 'node:timers/promises';
import { measure, type Measured } from './measure.ts';
import { residentBytes } from '../process-cost.ts';
import { directVariant, haproxyVariant, ourVariant, startApp, type Variant } from './variants.ts';
import { BenchWorld } from './world.ts';
import type { LoadOrder } from './load-order.ts';

export interface BenchOptions {
  /** The bundled ztunnel program. */
  readonly program: string;
  readonly rounds: number;
  /** Length of each measured window. */
  readonly seconds: number;
  readonly onProgress: (text: string) => void;
}

export type LoadName = 'latency' | 'saturation' | 'connections' | 'stream1' | 'stream4';

export const LOADS: Readonly<Record<LoadName, Omit<LoadOrder, 'host' | 'port' | 'seconds'>>> = {
  latency: { kind: 'latency', connections: 16, rate: 1_000 },
  saturation: { kind: 'closed', connections: 64 },
  connections: { kind: 'connections', connections: 32 },
  stream1: { kind: 'throughput', connections: 1 },
  stream4: { kind: 'throughput', connections: 4 },
};

/** Measurements by load and variant, one a round, round by round. */
export type Samples = Readonly<Record<LoadName, Readonly<Record<Variant['name'], Measured[]>>>>;

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
  await using world = new BenchWorld();
  const plain = { client: world.addPod('plain-client'), server: world.addPod('plain-server') };
  const mesh = { client: world.addPod('client'), server: world.addPod('server') };
  await world.enrol(mesh.client);
  await world.enrol(mesh.server);
  await startApp(world, plain.server);
  await startApp(world, mesh.server);
  const variants = [
    directVariant(plain.client, plain.server),
    await haproxyVariant(world, plain.client, plain.server),
    await ourVariant(world, options.program, mesh.client, mesh.server),
  ];
  for (const variant of variants) await untilServed(world, variant);
  const samples = await sample(world, variants, options);
  const ours = variants[2]!;
  const peakBytes = ours.pids.map((pid) => residentBytes(pid).peak);
  await ours.stop();
  const fresh = await ourVariant(world, options.program, mesh.client, mesh.server);
  await untilServed(world, fresh);
  options.onProgress(`holding ${IDLE_CONNECTIONS} idle connections`);
  return { samples, memory: { peakBytes, idleBytes: await idleCost(world, fresh) } };
}

async function sample(
  world: BenchWorld,
  variants: readonly Variant[],
  options: BenchOptions,
): Promise<Samples> {
  const samples = emptySamples();
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

function emptySamples(): Samples {
  const byVariant = () => ({ direct: [], haproxy: [], ours: [] });
  return {
    latency: byVariant(),
    saturation: byVariant(),
    connections: byVariant(),
    stream1: byVariant(),
    stream4: byVariant(),
  };
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
