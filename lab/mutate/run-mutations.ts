import { LabError } from '../world/errors.ts';
import type { Lab } from '../world/lab.ts';
import type { Mutation } from './mutation.ts';
import { inPlace } from '../world/in-place.ts';
import { differencesOf, type PlaceState, readPlace } from './place-state.ts';
import { changesOf, type Probe, type ProbeResult } from './probes.ts';
import { knownReason } from './reasons.ts';
import { runProbes } from './run-probes.ts';

/** What one probe came to under a mutation, in words. */
export interface Breakage {
  readonly probe: string;
  readonly title: string;
  readonly seen: readonly string[];
}

/** One row of the table: what a rule protects. */
export interface MutationResult {
  readonly id: string;
  readonly kind: Mutation['kind'];
  readonly where: string;
  readonly text: string;
  readonly change: string;
  readonly why?: string;
  readonly places: readonly string[];
  readonly breaks: readonly Breakage[];
  /** Why nothing was seen, where nothing was and the reason is known. */
  readonly reason?: string;
  /** What it took to have everything work again, where putting back was not enough. */
  readonly aftermath?: string;
}

export interface MutationRunOptions {
  readonly probes: readonly Probe[];
  readonly states: readonly PlaceState[];
  readonly signal?: AbortSignal;
  readonly onResult?: (result: MutationResult) => void | Promise<void>;
}

/** Time for probes whose usual time is not known yet. */
const PATIENCE_MS = 5_000;

/**
 * How long probes may take: as long as this machine needs now, many times over. A probe that seems
 * broken gets another chance, and more time, so that a busy machine is not taken for a broken one.
 */
function limitsOf(baseline: readonly ProbeResult[]): { first: number; second: number } {
  const answered = baseline.filter(({ outcome }) => /^(?:\d|answered|echoed)/.test(outcome));
  const slowest = Math.max(0, ...answered.map(({ durationMs }) => durationMs));
  return {
    first: Math.min(8_000, Math.max(1_200, 5 * slowest)),
    second: Math.min(10_000, Math.max(2_500, 12 * slowest)),
  };
}

/** What every probe comes to with nothing changed; two runs must agree. @throws LabError LAB_NOT_READY */
export async function readBaseline(
  lab: Lab,
  probes: readonly Probe[],
): Promise<readonly ProbeResult[]> {
  let before = await runProbes(lab, probes, PATIENCE_MS);
  for (let attempt = 0; attempt < 3; attempt++) {
    const again = await runProbes(lab, probes, PATIENCE_MS, before);
    if (again.every((result, at) => changesOf(before[at] as ProbeResult, result).length === 0)) {
      return again;
    }
    before = again;
  }
  throw new LabError(
    'LAB_NOT_READY',
    'Cannot mutate rules: the probes come to something else each time, with nothing changed',
  );
}

/**
 * Applies each mutation to a running lab, makes the probes, restores, and makes sure that rules,
 * routes and sets are as before and that what was broken works again.
 * @throws LabError LAB_STUCK when a place cannot be restored
 */
export async function runMutations(
  lab: Lab,
  mutations: Iterable<Mutation>,
  baseline: readonly ProbeResult[],
  options: MutationRunOptions,
): Promise<readonly MutationResult[]> {
  const results: MutationResult[] = [];
  for (const mutation of mutations) {
    options.signal?.throwIfAborted();
    const { breaks, aftermath } = await tryMutation(lab, mutation, baseline, options);
    const { id, kind, where, text, change, why, places } = mutation;
    const reason = breaks.length === 0 ? knownReason(mutation) : undefined;
    const result: MutationResult = {
      ...{ id, kind, where, text, change, places, breaks },
      ...(why === undefined ? {} : { why }),
      ...(reason === undefined ? {} : { reason }),
      ...(aftermath === undefined ? {} : { aftermath }),
    };
    results.push(result);
    await options.onResult?.(result);
  }
  return results;
}

async function tryMutation(
  lab: Lab,
  mutation: Mutation,
  baseline: readonly ProbeResult[],
  options: MutationRunOptions,
): Promise<Pick<MutationResult, 'breaks' | 'aftermath'>> {
  let breaks: readonly Breakage[] = [];
  try {
    await mutation.apply(lab);
    breaks = await findBreaks(lab, options.probes, baseline);
  } finally {
    await mutation.restore(lab);
  }
  await requireRestored(lab, mutation, options.states);
  if (breaks.length === 0) return { breaks };
  const broken = options.probes.filter(({ name }) => breaks.some(({ probe }) => probe === name));
  if ((await untilWell(lab, broken, baseline)).length === 0) return { breaks };
  await beginAnew(lab);
  const left = await untilWell(lab, broken, baseline);
  await requireRestored(lab, mutation, options.states);
  if (left.length === 0)
    return { breaks, aftermath: 'it took a new ztunnel, and conntrack emptied, to recover' };
  const names = left.map(({ probe, seen }) => `${probe} (${seen.join('; ')})`).join(', ');
  throw new LabError(
    'LAB_STUCK',
    `Cannot go on after "${mutation.id}" was restored: still broken ${names}`,
  );
}

async function findBreaks(
  lab: Lab,
  probes: readonly Probe[],
  baseline: readonly ProbeResult[],
): Promise<readonly Breakage[]> {
  const limits = limitsOf(baseline);
  const first = compare(probes, baseline, await runProbes(lab, probes, limits.first, baseline));
  if (first.length === 0) return [];
  const suspects = probes.filter(({ name }) => first.some(({ probe }) => probe === name));
  return compare(suspects, baseline, await runProbes(lab, suspects, limits.second, baseline));
}

function compare(
  probes: readonly Probe[],
  baseline: readonly ProbeResult[],
  results: readonly ProbeResult[],
): readonly Breakage[] {
  return probes.flatMap(({ name, title }) => {
    const before = baseline.find((result) => result.name === name);
    const after = results.find((result) => result.name === name);
    const seen = before && after ? changesOf(before, after) : ['not made'];
    return seen.length === 0 ? [] : [{ probe: name, title, seen }];
  });
}

async function requireRestored(
  lab: Lab,
  { id, places }: Mutation,
  states: readonly PlaceState[],
): Promise<void> {
  const faults = await Promise.all(
    states
      .filter(({ place }) => places.includes(place))
      .map(async (before) => differencesOf(before, await readPlace(lab, before.place))),
  );
  if (faults.flat().length === 0) return;
  const where = faults.flat().join(', ');
  throw new LabError('LAB_STUCK', `Cannot restore "${id}": other than before are ${where}`);
}

/**
 * Every ztunnel is started anew, and no pod knows of connections that were: a ztunnel that was led
 * into itself leaves thousands behind, and their ports are taken from new ones.
 */
async function beginAnew(lab: Lab): Promise<void> {
  for (const { name } of lab.plan.nodes) await lab.restart('ztunnel', name);
  await Promise.all(lab.plan.pods.map(({ netns }) => inPlace(lab, netns, ['conntrack', '-F'])));
}

/** What is still broken after some patience; empty when everything works again. */
async function untilWell(
  lab: Lab,
  broken: readonly Probe[],
  baseline: readonly ProbeResult[],
): Promise<readonly Breakage[]> {
  let left: readonly Breakage[] = [];
  for (let attempt = 0; attempt < 3; attempt++) {
    left = compare(
      broken,
      baseline,
      await runProbes(lab, broken, limitsOf(baseline).second, baseline),
    );
    if (left.length === 0) return [];
  }
  return left;
}
