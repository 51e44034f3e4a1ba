import { join } from 'node:path';
import t from 'tap';
import { ALL_CLAIMS } from '../../lab/claims/all-claims.ts';
import { runClaims } from '../../lab/claims/run-claims.ts';
import { findEnvoy, HOW_TO_GET_ENVOY } from '../../lab/hosts/envoy.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { createLab } from '../../lab/world/client.ts';
import { loadTopology } from '../../topologies/load.ts';
import { scratchDirectory, TESTED_ERAS } from './support/lab.ts';

const WORLD = join(import.meta.dirname, '..', '..', 'topologies', 'claims.yaml');

/** Claims whose checks are asked here, in a good world and in one without a mesh. */
const QUICK = ['encap-01', 'encap-02', 'encap-04', 'encap-05', 'sock-01', 'redirect-43', 'pol-03'];
const claims = ALL_CLAIMS.filter(({ id }) => QUICK.includes(id));

/** The same of era geneve: packets, the kernel's answers, a CONNECT made by hand. */
const QUICK_GENEVE = ['path-01', 'redirect-01', 'redirect-09', 'redirect-13', 'redirect-17'];

t.setTimeout(240_000);

t.equal(claims.length, QUICK.length, 'every claim that is asked here is there');

for (const era of TESTED_ERAS) {
  t.test(`runClaims() settles claims as recorded in era ${era}`, async (t) => {
    const plan = planLab(loadTopology(WORLD), { era, lab: `tc${process.pid}-${era.slice(6)}` });
    await using lab = await createLab(plan);
    await using scratch = await scratchDirectory();
    const own = claims.filter(({ eras }) => eras.includes(era));
    t.ok(own.length > 0, 'there are claims of this era');
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

t.test(
  'runClaims() in era geneve: refuted when the rule is gone that a claim rests on',
  async (t) => {
    const plan = planLab(loadTopology(WORLD), { era: 'geneve', lab: `tc${process.pid}-geneve` });
    await using lab = await createLab(plan);
    await using scratch = await scratchDirectory();
    const own = ALL_CLAIMS.filter(({ id }) => QUICK_GENEVE.includes(id));
    t.equal(own.length, QUICK_GENEVE.length);
    const settle = async (name: string) => {
      const results = await runClaims(lab, own, { directory: join(scratch.path, name) });
      return new Map(results.map((result) => [result.id, result]));
    };
    for (const { id, text, outcome } of (await settle('whole')).values()) {
      t.equal(outcome, 'holds', `${id}: ${text}`);
    }
    const capture = ['-p', 'tcp', '-m', 'set', '--match-set', 'ztunnel-pods-ips', 'src'];
    const rule = [...capture, '-j', 'MARK', '--set-mark', '0x100/0x100'];
    const take = ['iptables', '-t', 'mangle', '-D', 'ztunnel-PREROUTING', ...rule];
    t.equal(await lab.exec('node1', take), 0);
    t.equal(await lab.exec('node1', ['ip', 'rule', 'del', 'pref', '102']), 0);
    const broken = await settle('broken');
    for (const id of ['path-01', 'redirect-01', 'redirect-13']) {
      t.not(broken.get(id)?.outcome, 'holds', `${id}: ${broken.get(id)?.text}`);
    }
    t.equal(broken.get('redirect-17')?.outcome, 'holds', 'which asks ztunnel of the other node');
  },
);

/** Claims that need an Envoy, and those of them that fall when nothing is redirected to it. */
const OF_SIDECARS = [
  ...['encap-04', 'path-04', 'path-05', 'path-08', 'rule-05', 'rule-06', 'rule-07', 'rule-08'],
  ...['redirect-63', 'redirect-64'],
];
const FALLING = ['encap-04', 'path-08', 'rule-06', 'rule-08'];
const noEnvoy = findEnvoy() === undefined ? `no Envoy here; wanted: ${HOW_TO_GET_ENVOY}` : false;

t.test('runClaims() with sidecars: refuted without the rule', { skip: noEnvoy }, async (t) => {
  const plan = planLab(loadTopology(join(WORLD, '..', 'mixed.yaml')), {
    lab: `tc${process.pid}-s`,
  });
  await using lab = await createLab(plan);
  await using scratch = await scratchDirectory();
  const settle = (ids: readonly string[], name: string) => {
    const own = ALL_CLAIMS.filter(({ id }) => ids.includes(id));
    return runClaims(lab, own, { era: 'sidecar', directory: join(scratch.path, name) });
  };
  const whole = await settle(OF_SIDECARS, 'whole');
  t.equal(whole.length, OF_SIDECARS.length);
  for (const { id, text, era, asExpected } of whole) {
    t.ok(asExpected, `${id}: ${text}`);
    t.equal(era, 'sidecar');
  }
  const laps = whole.find(({ id }) => id === 'path-08');
  t.match(laps?.text, /^1 : 3 : 3 legs .* 1 : 3 : 3 netfilter passes .* 4 : 8 : 8 /);
  t.equal(await lab.exec('sidecar', ['iptables', '-t', 'nat', '-F', 'ISTIO_OUTPUT']), 0);
  for (const { id, text, outcome } of await settle(FALLING, 'flushed')) {
    t.equal(outcome, 'refuted', `${id}: ${text}`);
  }
});

t.test('runClaims() without a mesh holds none of them', async (t) => {
  const plan = planLab(loadTopology(WORLD), { lab: `tc${process.pid}-none` });
  await using lab = await createLab(plan, { withoutMesh: true });
  await using scratch = await scratchDirectory();
  const results = await runClaims(lab, claims, { directory: join(scratch.path, 'none') });
  for (const { id, outcome, text } of results) t.not(outcome, 'holds', `${id}: ${text}`);
  t.ok(results.filter(({ outcome }) => outcome === 'refuted').length >= 4, 'most are refuted');
});
