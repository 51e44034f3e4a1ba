import { join } from 'node:path';
import t from 'tap';
import { ALL_CLAIMS } from '../../lab/claims/all-claims.ts';
import { runClaims } from '../../lab/claims/run-claims.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { createLab } from '../../lab/world/client.ts';
import { loadTopology } from '../../topologies/load.ts';
import { scratchDirectory, TESTED_ERAS } from './support/lab.ts';

const WORLD = join(import.meta.dirname, '..', '..', 'topologies', 'claims.yaml');

/** Claims whose checks are asked here, in a good world and in one without a mesh. */
const QUICK = ['encap-01', 'encap-02', 'encap-04', 'encap-05', 'sock-01', 'redirect-43', 'pol-03'];
const claims = ALL_CLAIMS.filter(({ id }) => QUICK.includes(id));

t.setTimeout(120_000);

for (const era of TESTED_ERAS) {
  t.test(`runClaims() settles claims as recorded in era ${era}`, async (t) => {
    const plan = planLab(loadTopology(WORLD), { era, lab: `tc${process.pid}-${era.slice(6)}` });
    await using lab = await createLab(plan);
    await using scratch = await scratchDirectory();
    const own = claims.filter(({ eras }) => eras.includes(era));
    const results = await runClaims(lab, own, { directory: join(scratch.path, era) });
    t.equal(results.length, own.length);
    for (const result of results) t.ok(result.asExpected, `${result.id}: ${result.text}`);
    const resting = results.filter(({ frames, evidence }) => frames.length + evidence.length === 0);
    t.same(
      resting.map(({ id }) => id),
      [],
      'each names what it stands on',
    );
  });
}

t.test('runClaims() without a mesh holds none of them', async (t) => {
  const plan = planLab(loadTopology(WORLD), { lab: `tc${process.pid}-none` });
  await using lab = await createLab(plan, { withoutMesh: true });
  await using scratch = await scratchDirectory();
  const results = await runClaims(lab, claims, { directory: join(scratch.path, 'none') });
  for (const { id, outcome, text } of results) t.not(outcome, 'holds', `${id}: ${text}`);
  t.ok(results.filter(({ outcome }) => outcome === 'refuted').length >= 4, 'most are refuted');
});
