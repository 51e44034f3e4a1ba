import t from 'tap';
import { listMutations } from '../../lab/mutate/list-mutations.ts';
import { mutateInLabs } from '../../lab/mutate/mutate-in-labs.ts';
import { explainByTwins } from '../../lab/mutate/twins.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { createLab } from '../../lab/world/client.ts';
import { ERA_NAMES } from '../../topologies/era.ts';
import { loadTopology } from '../../topologies/load.ts';
import { ABLATION_PROBES, ABLATIONS } from '../e2e/support/ablations.ts';
import { MUTATION_TOPOLOGY } from '../e2e/support/find-ablations.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'skipped: it makes network namespaces, which needs root');
  process.exit(0);
}

t.setTimeout(3_600_000);

/** Kinds of mutations that every era has, and those of era geneve. */
const KINDS = ['rule', 'policy-rule', 'route', 'address-set', 'sysctl', 'whole'];

for (const era of ERA_NAMES) {
  t.test(`every mutation of era ${era}, and the ablations among them`, async (t) => {
    const plan = (number: number) =>
      planLab(loadTopology(MUTATION_TOPOLOGY), { lab: `t${process.pid}-ml${number}`, era });
    await using first = await createLab(plan(1));
    await using second = await createLab(plan(2));
    const { mutations } = await listMutations(first);
    const ids = mutations.map(({ id }) => id);
    t.equal(new Set(ids).size, ids.length, 'each id is one mutation');
    const kinds = new Set(mutations.map(({ kind }) => kind));
    const wanted = era === 'geneve' ? [...KINDS, 'link'] : KINDS;
    t.same([...kinds].sort(), wanted.toSorted());
    const { results: found } = await mutateInLabs([first, second], ids);
    t.equal(found.length, ids.length, 'all were tried, and put back');
    const results = explainByTwins(found);
    const names: readonly string[] = ABLATION_PROBES;
    for (const { id, breaks, seen } of ABLATIONS[era]) {
      const result = results.find((each) => id.test(each.id));
      const broken = (result?.breaks ?? []).filter(({ probe }) => names.includes(probe));
      t.same(
        broken.map(({ probe }) => probe),
        breaks,
        `${result?.id}: ${JSON.stringify(broken)}`,
      );
      if (seen !== undefined) t.match(broken[0]?.seen.join(), seen);
    }
    const silent = results.filter(
      ({ breaks, reason, kind }) => kind === 'rule' && breaks.length === 0 && reason === undefined,
    );
    t.comment(`not explained: ${silent.map(({ id }) => id).join('; ') || 'nothing'}`);
  });
}
