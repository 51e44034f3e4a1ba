import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Era } from '../../dataplane/redirect/era.ts';
import { listMutations, MUTABLE_ERAS } from '../../lab/mutate/list-mutations.ts';
import { probesOf } from '../../lab/mutate/probes.ts';
import { readBaseline, runMutations } from '../../lab/mutate/run-mutations.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { createLab } from '../../lab/world/client.ts';
import { loadTopology } from '../../topologies/load.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'skipped: it makes network namespaces, which needs root');
  process.exit(0);
}

t.setTimeout(300_000);

const TOPOLOGY = join(import.meta.dirname, '..', '..', 'topologies', 'mutation.yaml');
const QUICK = ['other-node', 'plain-in', 'node-probe', 'strict-probe'];

/** The ablations that were measured with other programs in the place of ztunnel: facts on the redirect, 2.10. */
const ABLATIONS: readonly { readonly id: RegExp; readonly breaks: readonly string[] }[] = [
  { id: /^ip rule .*\| removed$/, breaks: ['other-node', 'plain-in'] },
  { id: /^ip route .*\| removed$/, breaks: ['other-node', 'plain-in'] },
  { id: /^mangle ISTIO_OUTPUT .*restore-mark.*\| removed$/, breaks: ['other-node', 'plain-in'] },
  { id: /^mangle ISTIO_PRERT .*set-xmark.*\| removed$/, breaks: ['other-node', 'plain-in'] },
  // Still answers, but through ztunnel; a pod that wants mTLS refuses it.
  { id: /ISTIO_PRERT -s 169.*\| removed$/, breaks: ['node-probe', 'strict-probe'] },
  { id: /^nat ISTIO_OUTPUT -d 169.*-j ACCEPT \| removed$/, breaks: [] },
  { id: /^nat ISTIO_OUTPUT -p tcp -m mark --mark 0x111.*\| removed$/, breaks: [] },
];

t.jobs = 2;
for (const era of MUTABLE_ERAS) {
  const name = `runMutations() finds the ablations of ${era}`;
  t.test(name, { buffered: true }, (t) => findAblations(t, era));
}

async function findAblations(t: Test, era: Era): Promise<void> {
  const name = `t${process.pid}-mutate-${era === 'inpod-redirect' ? 'r' : 't'}`;
  await using lab = await createLab(planLab(loadTopology(TOPOLOGY), { lab: name, era }));
  const { mutations, states } = await listMutations(lab);
  const probes = probesOf(lab.plan).filter((probe) => QUICK.includes(probe.name));
  const baseline = await readBaseline(lab, probes);
  t.same(
    baseline.map(({ outcome }) => outcome),
    QUICK.map(() => '200'),
    'with nothing changed every probe is answered',
  );
  const wanted = ABLATIONS.map(({ id, breaks }) => {
    const found = mutations.filter((mutation) => id.test(mutation.id));
    t.equal(found.length, 1, `${String(id)} is one mutation`);
    return { mutation: found[0], breaks };
  });
  const chosen = wanted.flatMap(({ mutation }) => mutation ?? []);
  const results = await runMutations(lab, chosen, baseline, { probes, states });
  for (const { mutation, breaks } of wanted) {
    const result = results.find(({ id }) => id === mutation?.id);
    t.same(
      result?.breaks.map(({ probe }) => probe),
      breaks,
      `${mutation?.id}: ${JSON.stringify(result?.breaks)}`,
    );
    const probe = result?.breaks.find((each) => each.probe === 'node-probe');
    if (probe !== undefined) t.match(probe.seen, [/inbound-passthrough at demo\/far/]);
    if (breaks.length === 0) t.ok(result?.reason, 'says why nothing is seen');
  }
  const after = await readBaseline(lab, probes);
  t.same(after, baseline, 'all is as before');
}
