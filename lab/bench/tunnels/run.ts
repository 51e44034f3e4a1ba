import { bootstrapMedian, median, seededRandom, type Interval } from '../statistics.ts';
import { LOADS, measure, UNITS, type Load } from './measure.ts';
import { type FallBack, TunnelWorld, type Way } from './world.ts';

export interface TunnelBenchOptions {
  /** The one in use first: the bars are its. */
  readonly fallBacks: readonly FallBack[];
  readonly rounds: number;
  readonly seconds: number;
  readonly onProgress?: (text: string) => void;
}

/** One line of the result: medians of each way, and a fall-back over vxlan round by round. */
export interface TunnelBar {
  readonly name: string;
  readonly way: FallBack;
  /** Whether it is what a lab on this machine uses; the others are there to compare. */
  readonly isUsed: boolean;
  readonly unit: string;
  readonly bare: number;
  readonly vxlan: number;
  readonly fallBack: number;
  readonly ratio: Interval;
  readonly bar: string;
  readonly holds: boolean;
}

type Round = Readonly<Record<Load, Partial<Record<Way, number>>>>;

/** Within this of the kernel's vxlan. */
const MARGIN = 0.1;

/** Measures every load by every way in each round, ways in turn, and judges the ratios. */
export async function runTunnelBench(options: TunnelBenchOptions): Promise<readonly TunnelBar[]> {
  using world = await TunnelWorld.build(options.fallBacks);
  const rounds: Round[] = [];
  for (let round = 0; round < options.rounds; round++) {
    options.onProgress?.(`round ${round + 1} of ${options.rounds}`);
    rounds.push(await runRound(world, round, options));
  }
  return options.fallBacks.flatMap((way, i) =>
    LOADS.map((load) => judge(load, way, i === 0, rounds)),
  );
}

async function runRound(
  world: TunnelWorld,
  round: number,
  { fallBacks, seconds, onProgress }: TunnelBenchOptions,
): Promise<Round> {
  const ways: readonly Way[] = ['bare', 'vxlan', ...fallBacks];
  const results: Partial<Record<Load, Partial<Record<Way, number>>>> = {};
  for (const load of LOADS) {
    const values: Partial<Record<Way, number>> = {};
    // Another way first each time: what drifts while the machine is busy falls on all of them.
    for (let i = 0; i < ways.length; i++) {
      const way = ways[(i + round) % ways.length]!;
      const value = await measure(world, way, load, seconds);
      values[way] = value;
      onProgress?.(`  ${load}, ${way}: ${value.toPrecision(4)} ${UNITS[load]}`);
    }
    results[load] = values;
  }
  return results as Round;
}

function judge(load: Load, way: FallBack, isUsed: boolean, rounds: readonly Round[]): TunnelBar {
  const of = (one: Way): number => median(rounds.map((round) => round[load][one]!));
  const isTime = load === 'round trip';
  const ratios = rounds.map(({ [load]: { [way]: ours = NaN, vxlan = NaN, bare = NaN } }) =>
    isTime ? (ours - bare) / (vxlan - bare) : ours / vxlan,
  );
  const ratio = bootstrapMedian(ratios, seededRandom(1));
  return {
    name: isTime ? 'added round trip' : load,
    ...{ way, isUsed },
    unit: UNITS[load],
    bare: of('bare'),
    vxlan: of('vxlan') - (isTime ? of('bare') : 0),
    fallBack: of(way) - (isTime ? of('bare') : 0),
    ratio,
    bar: isTime ? `≤ ${(1 + MARGIN).toFixed(2)}` : `≥ ${(1 - MARGIN).toFixed(2)}`,
    holds: isTime ? ratio.median <= 1 + MARGIN : ratio.median >= 1 - MARGIN,
  };
}
