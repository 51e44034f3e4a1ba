import { LabError } from '../world/errors.ts';
import type { Lab } from '../world/lab.ts';
import { listMutations, type MutationList } from './list-mutations.ts';
import type { Mutation } from './mutation.ts';
import { changesOf, probesOf, type ProbeResult } from './probes.ts';
import { type MutationResult, readBaseline, runMutations } from './run-mutations.ts';

export interface MutateInLabsOptions {
  readonly signal?: AbortSignal;
  readonly onResult?: (result: MutationResult) => void | Promise<void>;
}

export interface MutatedLabs {
  /** What the probes come to with nothing changed, the same in every lab. */
  readonly baseline: readonly ProbeResult[];
  /** In the order in which they ended. */
  readonly results: readonly MutationResult[];
}

/**
 * Shares mutations out among labs of one plan, each of which does the next that is left. Most of the
 * time goes by waiting for packets that do not come, so several labs are done sooner than one.
 * @throws LabError LAB_NOT_READY when the labs are not alike, or probes come to something else each time
 */
export async function mutateInLabs(
  labs: readonly Lab[],
  ids: readonly string[],
  options: MutateInLabsOptions = {},
): Promise<MutatedLabs> {
  const ready = await Promise.all(
    labs.map(async (lab) => {
      const probes = probesOf(lab.plan);
      const list = await listMutations(lab);
      return { lab, probes, list, baseline: await readBaseline(lab, probes) };
    }),
  );
  const [first] = ready;
  if (first === undefined) return { baseline: [], results: [] };
  for (const { lab, baseline } of ready) requireAlike(lab, first.baseline, baseline);
  const queue = [...ids];
  const found = await Promise.all(
    ready.map(({ lab, probes, list, baseline }) => {
      const { states } = list;
      return runMutations(lab, takeFrom(queue, list), baseline, { ...options, probes, states });
    }),
  );
  return { baseline: first.baseline, results: found.flat() };
}

/** The next mutation that nobody has taken, until none is left. */
function* takeFrom(queue: string[], { mutations }: MutationList): Generator<Mutation> {
  const own = new Map(mutations.map((mutation) => [mutation.id, mutation]));
  for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
    const mutation = own.get(id);
    if (mutation !== undefined) yield mutation;
  }
}

function requireAlike(
  lab: Lab,
  wished: readonly ProbeResult[],
  found: readonly ProbeResult[],
): void {
  const other = found.find((result, at) => changesOf(wished[at] as ProbeResult, result).length > 0);
  if (other === undefined) return;
  throw new LabError(
    'LAB_NOT_READY',
    `Cannot mutate in lab "${lab.name}": probe ${other.name} comes to ${other.outcome}, ` +
      'the same as in the first lab is wished',
  );
}
