import { join } from 'node:path';
import t from 'tap';
import { ERAS } from '../../dataplane/redirect/era.ts';
import { ALL_CLAIMS } from '../../lab/claims/all-claims.ts';
import { runClaims } from '../../lab/claims/run-claims.ts';
import { findEnvoy, HOW_TO_GET_ENVOY } from '../../lab/hosts/envoy.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { createLab } from '../../lab/world/client.ts';
import { loadTopology } from '../../topologies/load.ts';
import { scratchDirectory } from '../e2e/support/lab.ts';

const WORLD = join(import.meta.dirname, '..', '..', 'topologies', 'claims.yaml');
const MIXED = join(WORLD, '..', 'mixed.yaml');

/** Settled by what stays as it is without a mesh: an app's own address is free anyway. */
const TRUE_WITHOUT_MESH = ['redirect-25'];

t.setTimeout(1_200_000);

for (const era of ERAS) {
  t.test(`runClaims() settles every claim of era ${era} as recorded`, async (t) => {
    const plan = planLab(loadTopology(WORLD), { era, lab: `tlc${process.pid}-${era}` });
    await using lab = await createLab(plan);
    await using scratch = await scratchDirectory();
    const own = ALL_CLAIMS.filter(({ eras }) => eras.includes(era));
    const results = await runClaims(lab, own, { directory: join(scratch.path, era) });
    t.equal(results.length, own.length);
    for (const result of results) t.ok(result.asExpected, `${result.id}: ${result.text}`);
  });
}

const skip = findEnvoy() === undefined ? `no Envoy here; wanted: ${HOW_TO_GET_ENVOY}` : false;

t.test('runClaims() settles every claim of sidecars as recorded', { skip }, async (t) => {
  const plan = planLab(loadTopology(MIXED), { lab: `tlc${process.pid}-sidecar` });
  await using lab = await createLab(plan);
  await using scratch = await scratchDirectory();
  const own = ALL_CLAIMS.filter(({ eras }) => eras.includes('sidecar'));
  const results = await runClaims(lab, own, {
    era: 'sidecar',
    directory: join(scratch.path, 'all'),
  });
  t.equal(results.length, own.length);
  for (const result of results) t.ok(result.asExpected, `${result.id}: ${result.text}`);
});

for (const era of ['inpod-redirect', 'geneve'] as const) {
  t.test(`runClaims() without a mesh: no check of ${era} that only looks can hold`, async (t) => {
    const plan = planLab(loadTopology(WORLD), { era, lab: `tlc${process.pid}-no-${era}` });
    await using lab = await createLab(plan, { withoutMesh: true });
    await using scratch = await scratchDirectory();
    const looking = ALL_CLAIMS.filter(
      ({ check, changesLab, eras }) =>
        check !== undefined && changesLab !== true && eras.includes(era),
    );
    const results = await runClaims(lab, looking, { directory: join(scratch.path, 'none') });
    const held = results.filter(({ outcome }) => outcome === 'holds').map(({ id }) => id);
    t.same(held, era === 'geneve' ? [] : TRUE_WITHOUT_MESH);
    t.ok(results.filter(({ outcome }) => outcome === 'refuted').length > 10, 'most are refuted');
  });
}
