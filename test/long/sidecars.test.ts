import { join } from 'node:path';
import t from 'tap';
import { ERAS } from '../../dataplane/redirect/era.ts';
import { findEnvoy, HOW_TO_GET_ENVOY } from '../../lab/hosts/envoy.ts';
import { judgeScenario } from '../../lab/judge/judge-scenario.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { createLab } from '../../lab/world/client.ts';
import { loadTopology } from '../../topologies/load.ts';
import type { Scenario } from '../../topologies/topology.ts';
import { holdsWhole } from '../e2e/support/holds-whole.ts';

const TOPOLOGIES = join(import.meta.dirname, '..', '..', 'topologies');
const skip = findEnvoy() === undefined ? `no Envoy here; wanted: ${HOW_TO_GET_ENVOY}` : false;

t.setTimeout(900_000);

for (const era of ERAS) {
  t.test(`mixed: ambient and sidecars reach each other in era ${era}`, { skip }, async (t) => {
    const topology = loadTopology(join(TOPOLOGIES, 'mixed.yaml'));
    await using lab = await createLab(planLab(topology, { lab: `t${process.pid}-m`, era }));
    const facts = await holdsWhole(t, lab);
    const named = (name: string): Scenario =>
      lab.plan.scenarios.find((each) => each.name.startsWith(name))!;
    const { legs, security } = named('sidecar reaches captured-far, HBONE from').expect;
    const wrongly = {
      ...named('captured reaches old-far'),
      expect: { legs: legs!, security: security! },
    };
    t.equal(judgeScenario(wrongly, facts).outcome, 'refuted', 'plain text is no HBONE');
  });
}
