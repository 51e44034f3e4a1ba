import { execFileSync } from 'node:child_process';
import { totalCpuSeconds } from '../process-cost.ts';
import type { LoadOrder, LoadResult } from './load-order.ts';
import { firstOutput, loadCommand, type Variant } from './variants.ts';
import type { BenchWorld } from './world.ts';

/** One load on one variant, and what the proxies paid for it. */
export interface Measured extends LoadResult {
  readonly cpuSeconds: number;
}

/** A load, and what else runs beside it all the time. */
export type LoadToMeasure = Omit<LoadOrder, 'host' | 'port'> & { readonly beside?: BesideLoad };

type BesideLoad = Pick<LoadOrder, 'kind' | 'connections' | 'rate'>;

/** The load beside is up before the measured one is, and outlives it; processes start slowly. */
const BESIDE_SECONDS = 120;

/** Runs a load in the client's netns; CPU time counts over the measured window alone. */
export async function measure(
  world: BenchWorld,
  variant: Variant,
  { beside, ...load }: LoadToMeasure,
): Promise<Measured> {
  if (beside === undefined) return measureAlone(world, variant, load);
  const order = { ...beside, seconds: BESIDE_SECONDS };
  const child = world.start(variant.client, commandOf(variant, order));
  try {
    await firstOutput(child, 'start');
    return await measureAlone(world, variant, load);
  } finally {
    await world.stop(child);
  }
}

type Load = Omit<LoadOrder, 'host' | 'port'>;

function commandOf(variant: Variant, load: Load): readonly string[] {
  const port = load.kind === 'throughput' ? variant.sinkPort : variant.httpPort;
  return loadCommand({ ...load, host: variant.host, port });
}

async function measureAlone(world: BenchWorld, variant: Variant, load: Load): Promise<Measured> {
  const isForWrk = load.kind === 'closed' || load.kind === 'connections';
  if (isForWrk && hasWrk()) return measureByWrk(world, variant, load);
  const child = world.start(variant.client, commandOf(variant, load));
  let before = 0;
  let after: number | undefined;
  const text = await collect(child, (line) => {
    if (line === 'start') before = totalCpuSeconds(variant.pids);
    else after ??= totalCpuSeconds(variant.pids);
  });
  const line = text.split('\n').find((candidate) => candidate.startsWith('{'));
  if (line === undefined) throw new Error(`Cannot measure "${variant.name}": load said ${text}`);
  const result = JSON.parse(line) as LoadResult;
  return { ...result, cpuSeconds: (after ?? before) - before };
}

async function measureByWrk(world: BenchWorld, variant: Variant, load: Load): Promise<Measured> {
  const url = `http://${variant.host}:${variant.httpPort}/`;
  const argv = ['wrk', '-t1', `-c${load.connections}`, `-d${load.seconds}s`];
  // wrk connects again for each request when the answer says so.
  if (load.kind === 'connections') argv.push('-H', 'Connection: close');
  argv.push(url);
  const before = totalCpuSeconds(variant.pids);
  const text = await collect(world.start(variant.client, argv), () => undefined);
  const cpuSeconds = totalCpuSeconds(variant.pids) - before;
  const found = /(\d+) requests in ([\d.]+)s/.exec(text);
  if (!found) throw new Error(`Cannot measure "${variant.name}": wrk said ${text}`);
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text);
  const failures = (errors ?? []).slice(1).reduce((sum, count) => sum + Number(count), 0);
  return { done: Number(found[1]), seconds: Number(found[2]), failures, cpuSeconds };
}

function hasWrk(): boolean {
  return succeeds('wrk', ['-v']);
}

function succeeds(program: string, args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

function collect(
  child: ReturnType<BenchWorld['start']>,
  onLine: (line: string) => void,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    let partial = '';
    child.stdout?.on('data', (part: Buffer) => {
      text += part.toString();
      const lines = (partial + part.toString()).split('\n');
      partial = lines.pop() ?? '';
      lines.forEach(onLine);
    });
    child.stderr?.on('data', (part: Buffer) => (text += part.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(text);
      else reject(new Error(`Cannot measure: load ended with ${code}, ${text.trim()}`));
    });
  });
}
