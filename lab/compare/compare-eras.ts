import type { RunFacts } from '../facts/facts.ts';
import type { Observation } from '../run/observe.ts';
import type { Lab } from '../world/lab.ts';
import { alignLines, type Row } from './align-lines.ts';
import { type KernelReading, readKernel, type Section, SECTIONS } from './read-kernel.ts';

/** One era's world: read from the kernel, and one request traced in it. */
export interface EraReading {
  readonly era: string;
  readonly places: readonly { readonly place: string; readonly kernel: KernelReading }[];
  readonly observation: Observation;
}

export interface PlaceComparison {
  readonly place: string;
  readonly sections: readonly { readonly name: Section; readonly rows: readonly Row[] }[];
}

export interface EraComparison {
  readonly eras: readonly [string, string];
  readonly places: readonly PlaceComparison[];
  /** One request in each. */
  readonly facts: readonly [RunFacts, RunFacts];
}

/** Reads places of a running lab after a request was traced in it, which is when counters and sockets stand. */
export async function readEra(
  lab: Lab,
  places: readonly string[],
  observation: Observation,
): Promise<EraReading> {
  const read = async (place: string) => ({ place, kernel: await readKernel(lab, place) });
  return { era: lab.plan.era, places: await Promise.all(places.map(read)), observation };
}

/** Two readings of one topology side by side. */
export function compareEras(left: EraReading, right: EraReading): EraComparison {
  return {
    eras: [left.era, right.era],
    places: left.places.flatMap(({ place, kernel }) => {
      const other = right.places.find((each) => each.place === place)?.kernel;
      if (other === undefined) return [];
      const sections = SECTIONS.map((name) => ({
        name,
        rows: alignLines(kernel[name], other[name]),
      }));
      return [{ place, sections }];
    }),
    facts: [left.observation.facts, right.observation.facts],
  };
}
