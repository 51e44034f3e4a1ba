import { join } from 'node:path';
import t from 'tap';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { observe } from '../../lab/run/observe.ts';
import { createLab } from '../../lab/world/client.ts';
import { loadTopology } from '../../topologies/load.ts';
import { scratchDirectory, TESTED_ERAS } from '../e2e/support/lab.ts';
import { holdsWhole } from '../e2e/support/holds-whole.ts';

t.setTimeout(600_000);

const TOPOLOGY = join(import.meta.dirname, '..', '..', 'topologies', 'annotations.yaml');

/** Era by era, with both backends of iptables where it has them; the release that knows one of them. */
const CASES = [
  ...TESTED_ERAS.map((era) => ({ era, iptables: 'nft', release: undefined }) as const),
  { era: 'inpod-redirect', iptables: 'legacy', release: undefined },
  { era: 'inpod-tproxy', iptables: 'legacy', release: undefined },
] as const;

for (const { era, iptables } of CASES) {
  t.test(`every scenario of annotations.yaml in ${era}, iptables ${iptables}`, async (t) => {
    const lab = `t${process.pid}an-${era.replace('inpod-', '')}-${iptables}`;
    const plan = planLab(loadTopology(TOPOLOGY), { lab, era, iptables });
    await using running = await createLab(plan);
    await holdsWhole(t, running);
    t.same(await running.drift(), [], 'the kernel has what was planned');
  });
}

t.test(
  'release 1.24 of era inpod-tproxy reads the annotation of ingress pods, and breaks HBONE',
  async (t) => {
    const topology = { ...loadTopology(TOPOLOGY), release: '1.24' } as const;
    const plan = planLab(topology, { lab: `t${process.pid}an-124`, era: 'inpod-tproxy' });
    await using lab = await createLab(plan);
    await using scratch = await scratchDirectory();
    const ask = (name: string, from: string, to: string) =>
      lab.request({ from, to, count: 1 }, { name, timeoutMs: 12_000 });
    const { facts } = await observe(lab, { directory: scratch.path }, async () => {
      const reports = await Promise.all([
        ask('plain', 'legacy', 'http://pod:gate:8080/get'),
        ask('hbone', 'sleep', 'http://pod:gate:8080/get'),
        ask('control', 'sleep', 'http://pod:web:8080/get'),
        ask('dns by TCP', 'sleep', 'dns-tcp://web.demo.svc.cluster.local'),
      ]);
      t.equal(reports[0]?.status, 200);
      t.not(reports[1]?.outcome, 'ok', 'istio/istio#58546: HBONE to an ingress pod hangs');
      t.equal(reports[2]?.status, 200, 'control: the pod without the annotation');
      t.equal(reports[3]?.outcome, 'ok');
      return [];
    });
    const legsTo = (pod: string) =>
      facts.connections.filter(
        ({ sightings }) => sightings.at(-1)?.netns === `${pod}.demo` && sightings.length > 1,
      );
    const plain = legsTo('gate').filter(({ client }) =>
      facts.places.some(
        ({ name, addresses }) => name === 'legacy' && client.startsWith(addresses[0]!),
      ),
    );
    t.equal(plain.length, 1);
    t.match(plain[0]?.server, /:8080$/);
    const loop = facts.connections.filter(
      ({ sightings }) =>
        sightings[0]?.netns === 'sleep.demo' && /:15053$/.test(sightings[0].server),
    );
    t.ok(loop.length > 0, 'questions by TCP go to ztunnel since 1.24');
    t.same(await lab.drift(), []);
  },
);
