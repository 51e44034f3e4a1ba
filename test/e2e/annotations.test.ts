import { join } from 'node:path';
import t from 'tap';
import type { Era } from '../../dataplane/redirect/era.ts';
import { judgeScenario } from '../../lab/judge/judge-scenario.ts';
import type { ScenarioVerdict } from '../../lab/judge/verdict.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { renderLadder } from '../../lab/report/ladder.ts';
import { observe } from '../../lab/run/observe.ts';
import { createLab } from '../../lab/world/client.ts';
import { GUEST_ANNOTATION } from '../../topologies/expand.ts';
import { loadTopology } from '../../topologies/load.ts';
import type { KubernetesObject } from '../../topologies/objects.ts';
import type { Topology } from '../../topologies/topology.ts';
import { PROXY_ERAS, scratchDirectory } from './support/lab.ts';

const TOPOLOGY = join(import.meta.dirname, '..', '..', 'topologies', 'annotations.yaml');
/** What only an annotation brings about. */
const BY_ANNOTATION = [
  'plain text to gate reaches the app itself',
  "a question of asker by UDP goes to the cluster's DNS",
  'a question of asker by TCP goes there through ztunnel, as any connection',
  'a virtual machine behind a rerouted interface is in the mesh',
  'where it is not, they arrive',
];

interface Judged {
  readonly verdict: ScenarioVerdict;
  readonly ladder: string;
}

/**
 * All scenarios at once, for each is told by its client's own socket; those that end by a timeout
 * are left to `test/long`.
 */
async function judgeAll(topology: Topology, era: Era, suffix: string): Promise<readonly Judged[]> {
  const lab = `t${process.pid}a-${era.replace('inpod-', '')}${suffix}`;
  const plan = planLab(topology, { lab, era });
  await using scratch = await scratchDirectory();
  await using running = await createLab(plan);
  const scenarios = plan.scenarios.filter(({ expect }) => expect.outcome !== 'timeout');
  const { facts } = await observe(running, { directory: scratch.path }, () =>
    Promise.all(
      scenarios.map(({ name, request }) => running.request(request, { name, timeoutMs: 6_000 })),
    ),
  );
  t.same(facts.problems, [], 'the recording is whole');
  return scenarios.map((scenario) => {
    const verdict = judgeScenario(scenario, facts);
    return { verdict, ladder: renderLadder(facts, verdict, { color: false, width: 120 }) };
  });
}

for (const era of PROXY_ERAS) {
  t.test(`annotations of pods do in era ${era} what its releases know`, async (t) => {
    const judged = await judgeAll(loadTopology(TOPOLOGY), era, '');
    t.ok(judged.length >= 9, `${judged.length} scenarios`);
    for (const { verdict, ladder } of judged) {
      t.equal(verdict.outcome, 'holds', verdict.name, { ladder });
    }
  });
}

const [era = 'inpod-redirect'] = PROXY_ERAS;

t.test(`without the annotations the same scenarios do not hold in era ${era}`, async (t) => {
  const topology = loadTopology(TOPOLOGY);
  const objects = topology.objects.map(withoutAnnotations);
  const judged = await judgeAll({ ...topology, objects }, era, '-bare');
  for (const { verdict, ladder } of judged) {
    const wished = BY_ANNOTATION.includes(verdict.name) ? 'refuted' : 'holds';
    t.equal(verdict.outcome, wished, verdict.name, { ladder });
  }
});

/** Guests stay: they are the lab's, no instruction to Istio. */
function withoutAnnotations(object: KubernetesObject): KubernetesObject {
  const { annotations, ...metadata } = object.metadata;
  const guest = annotations?.[GUEST_ANNOTATION];
  if (guest === undefined) return { ...object, metadata };
  const left = { ...metadata, annotations: { [GUEST_ANNOTATION]: guest } };
  return { ...object, metadata: left };
}
