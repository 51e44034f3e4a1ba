import type { Era } from '../../../dataplane/redirect/era.ts';
import { bootstrapMedian, median, seededRandom, type Interval } from '../statistics.ts';
import { MininetSession } from './mininet.ts';
import { measureOurs } from './ours.ts';
import type { Times } from './times.ts';

export interface BuildBenchOptions {
  readonly rounds: number;
  readonly sizes: readonly number[];
  readonly eras: readonly Era[];
  readonly onProgress?: (text: string) => void;
}

/** One line of the result: medians of both, and how many times faster, round by round. */
export interface BuildBar {
  readonly name: string;
  readonly era: Era;
  readonly mininetMs: number;
  readonly oursMs: number;
  readonly ratio: Interval;
  readonly bar: number;
  readonly holds: boolean;
}

/** How many times faster than Mininet. */
const BARS = { build: 10, remove: 20 } as const;

/** Both, of one size, measured right after each other. */
interface Pair {
  readonly mininet: Times;
  readonly ours: ReadonlyMap<Era, Times>;
}

/** Builds and removes every size by Mininet and in every era in each round, in turn. */
export async function runBuildBench(options: BuildBenchOptions): Promise<readonly BuildBar[]> {
  const { sizes, eras, rounds } = options;
  await using mininet = await MininetSession.start();
  const pairs = new Map<number, Pair[]>(sizes.map((size) => [size, []]));
  for (let round = 0; round < rounds; round++) {
    options.onProgress?.(`round ${round + 1} of ${rounds}`);
    for (const size of sizes) {
      // Another one first each time: what drifts while the machine is busy falls on both.
      pairs.get(size)!.push(await measurePair(mininet, size, round % 2 === 1, options));
    }
  }
  return sizes.flatMap((size) => eras.flatMap((era) => judge(size, era, pairs.get(size)!)));
}

async function measurePair(
  mininet: MininetSession,
  size: number,
  isMininetFirst: boolean,
  { eras, onProgress }: BuildBenchOptions,
): Promise<Pair> {
  const tell = (who: string, times: Times): Times => {
    const [build, remove] = [times.buildMs, times.removeMs].map((ms) => ms.toFixed(0));
    onProgress?.(`  ${size} pods, ${who}: built in ${build} ms, removed in ${remove} ms`);
    return times;
  };
  const ours = new Map<Era, Times>();
  const measureEras = async (): Promise<void> => {
    for (const era of eras) {
      ours.set(era, tell(era, await measureOurs(`bench-build-${process.pid}`, size, era)));
    }
  };
  if (!isMininetFirst) await measureEras();
  const theirs = tell('Mininet', await mininet.measure(size));
  if (isMininetFirst) await measureEras();
  return { mininet: theirs, ours };
}

function judge(size: number, era: Era, pairs: readonly Pair[]): readonly BuildBar[] {
  return (['build', 'remove'] as const).map((what) => {
    const key = `${what}Ms` as const;
    const mininet = pairs.map((pair) => pair.mininet[key]);
    const ours = pairs.map((pair) => pair.ours.get(era)![key]);
    const ratios = mininet.map((ms, index) => ms / ours[index]!);
    const ratio = bootstrapMedian(ratios, seededRandom(1));
    const bar = BARS[what];
    return {
      name: `${what} ${size}`,
      era,
      mininetMs: median(mininet),
      oursMs: median(ours),
      ratio,
      bar,
      holds: ratio.median >= bar,
    };
  });
}
