import { bootstrapMedian, median, seededRandom, type Interval } from '../statistics.ts';
import { LOADS, measure, UNITS, type Load } from './measure.ts';
import { TunnelWorld, WAYS, type Way } from './world.ts';

export interface TunnelBenchOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly onProgress?: (text: string) => void;
}

/** One line of the result: medians of each way, and fall-back over vxlan round by round. */
export interface TunnelBar {
  readonly name: string;
  readonly unit: string;
  readonly bare: number;
  readonly vxlan: number;
  readonly fallBack: number;
  readonly ratio: Interval;
  readonly bar: string;
  readonly holds: boolean;
}

type Round = Readonly<Record<Load, Record<Way, number>>>;

/** Within this of the kernel's vxlan. */
const MARGIN = 0.1;

/** Measures every load by every way in each round, ways in turn, and judges the ratios. */
export async function runTunnelBench(options: TunnelBenchOptions): Promise<readonly TunnelBar[]> {
  using world = await TunnelWorld.build();
  const rounds: Round[] = [];
  for (let round = 0; round < options.rounds; round++) {
    options.onProgress?.(`round ${round + 1} of ${options.rounds}`);
    rounds.push(await runRound(world, round, options));
  }
  return LOADS.map((load) => judge(load, rounds));
}

async function runRound(
  world: TunnelWorld,
  round: number,
  { seconds, onProgress }: TunnelBenchOptions,
): Promise<Round> {
  const results: Partial<Record<Load, Record<Way, number>>> = {};
  for (const load of LOADS) {
    const values: Partial<Record<Way, number>> = {};
    // Another way first each time: what drifts while the machine is busy falls on all of them.
    for (let i = 0; i < WAYS.length; i++) {
      const way = WAYS[(i + round) % WAYS.length]!;
      values[way] = await measure(world, way, load, seconds);
      onProgress?.(`  ${load}, ${way}: ${values[way].toPrecision(4)} ${UNITS[load]}`);
    }
    results[load] = values as Record<Way, number>;
  }
  return results as Round;
}

function judge(load: Load, rounds: readonly Round[]): TunnelBar {
  const of = (way: Way): number => median(rounds.map((round) => round[load][way]));
  const isTime = load === 'round trip';
  const ratios = rounds.map(({ [load]: ways }) =>
    isTime
      ? (ways['fall-back'] - ways.bare) / (ways.vxlan - ways.bare)
      : ways['fall-back'] / ways.vxlan,
  );
  const ratio = bootstrapMedian(ratios, seededRandom(1));
  return {
    name: isTime ? 'added round trip' : load,
    unit: UNITS[load],
    bare: of('bare'),
    vxlan: of('vxlan') - (isTime ? of('bare') : 0),
    fallBack: of('fall-back') - (isTime ? of('bare') : 0),
    ratio,
    bar: isTime ? `≤ ${(1 + MARGIN).toFixed(2)}` : `≥ ${(1 - MARGIN).toFixed(2)}`,
    holds: isTime ? ratio.median <= 1 + MARGIN : ratio.median >= 1 - MARGIN,
  };
}
