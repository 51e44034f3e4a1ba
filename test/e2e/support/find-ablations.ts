import { join } from 'node:path';
import type { Test } from 'tap';
import type { Era } from '../../../dataplane/redirect/era.ts';
import { listMutations } from '../../../lab/mutate/list-mutations.ts';
import { changesOf, probesOf, type ProbeResult } from '../../../lab/mutate/probes.ts';
import { readBaseline, runMutations } from '../../../lab/mutate/run-mutations.ts';
import { planLab } from '../../../lab/plan/plan-lab.ts';
import { createLab } from '../../../lab/world/client.ts';
import { loadTopology } from '../../../topologies/load.ts';
import { ABLATION_PROBES, type Ablation } from './ablations.ts';

/** The world of `mutate`. */
export const MUTATION_TOPOLOGY = join(
  ...[import.meta.dirname, '..', '..', '..', 'topologies', 'mutation.yaml'],
);

/** Tries ablations in a lab of the era, and holds what breaks against what is known. */
export async function findAblations(
  t: Test,
  era: Era,
  ablations: readonly Ablation[],
): Promise<void> {
  const lab = `t${process.pid}-mu-${era.slice(-4)}`;
  await using world = await createLab(planLab(loadTopology(MUTATION_TOPOLOGY), { lab, era }));
  const { mutations, states } = await listMutations(world);
  const names: readonly string[] = ABLATION_PROBES;
  const probes = probesOf(world.plan).filter(({ name }) => names.includes(name));
  const baseline = await readBaseline(world, probes);
  const outcomes = baseline.map(({ outcome }) => outcome);
  t.same(outcomes, [...names].fill('200'), 'with nothing changed every probe is answered');
  const wanted = ablations.flatMap((ablation) => {
    const found = mutations.filter(({ id }) => ablation.id.test(id));
    t.equal(found.length, 1, `${String(ablation.id)} is one mutation`);
    return found.map((mutation) => ({ mutation, ablation }));
  });
  const chosen = wanted.map(({ mutation }) => mutation);
  const results = await runMutations(world, chosen, baseline, { probes, states });
  for (const { mutation, ablation } of wanted) {
    const result = results.find(({ id }) => id === mutation.id);
    const broken = result?.breaks.map(({ probe }) => probe);
    t.same(broken, ablation.breaks, `${mutation.id}: ${JSON.stringify(result?.breaks)}`);
    if (ablation.seen !== undefined) t.match(result?.breaks[0]?.seen.join(), ablation.seen);
    if (ablation.breaks.length === 0) t.ok(result?.reason, `${mutation.id}: says why`);
  }
  const after = await readBaseline(world, probes);
  const changes = after.flatMap((now, at) => changesOf(baseline[at] as ProbeResult, now));
  t.same(changes, [], 'all is as before');
}
