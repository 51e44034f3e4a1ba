import { join } from 'node:path';
import t, { type Test } from 'tap';
import { breakLab, brokenIn, mendAll, mendLab } from '../../lab/faults/break-lab.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { createLab } from '../../lab/world/client.ts';
import type { Lab } from '../../lab/world/lab.ts';
import { loadTopology } from '../../topologies/load.ts';
import { FAULT_CASES, GENEVE_CASES, tryFaults } from './support/faults.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'skipped: it makes network namespaces, which needs root');
  process.exit(0);
}

t.setTimeout(600_000);

const TOPOLOGIES = join(import.meta.dirname, '..', '..', 'topologies', 'faults');

t.test('break, diagnose and mend faults in one lab', async (t) => {
  const topology = loadTopology(join(TOPOLOGIES, 'in-pod.yaml'));
  await using lab = await createLab(planLab(topology, { lab: `t${process.pid}-faults` }));
  await tryFaults(
    t,
    lab,
    FAULT_CASES.filter(({ isQuick }) => isQuick),
  );
  await t.test('break and mend refuse what makes no sense', (t) => refuse(t, lab));
});

t.test('break, diagnose and mend what only node-level redirection suffers from', async (t) => {
  const topology = loadTopology(join(TOPOLOGIES, 'node-level.yaml'));
  await using lab = await createLab(planLab(topology, { lab: `t${process.pid}-faults-g` }));
  await tryFaults(t, lab, GENEVE_CASES);
  await t.rejects(breakLab(lab, 'rules-missing'), {
    code: 'LAB_BAD_FAULT',
    message: /era "geneve": it has no rules and no sockets in pods/,
  });
});

async function refuse(t: Test, lab: Lab): Promise<void> {
  const code = (code: string, message: RegExp) => ({ code, message });
  await t.rejects(breakLab(lab, 'rules-mising'), {
    code: 'LAB_UNKNOWN_FAULT',
    hint: 'Did you mean "rules-missing"?',
  });
  await t.rejects(mendLab(lab, 'rules-missing'), code('LAB_NO_SUCH_FAULT', /not broken/));
  await t.rejects(
    breakLab(lab, 'rules-missing', 'clinet'),
    code('LAB_UNKNOWN_POD', /did you mean "client"/),
  );
  await t.rejects(
    breakLab(lab, 'rules-missing', 'legacy/plain'),
    code('LAB_BAD_FAULT_PLACE', /not enrolled/),
  );
  await breakLab(lab, 'rules-missing', 'client');
  await breakLab(lab, 'rules-missing', 'far');
  const again = breakLab(lab, 'rules-missing', 'client');
  await t.rejects(again, code('LAB_BAD_FAULT', /broken there already/));
  const other = breakLab(lab, 'ztunnel-not-told', 'client');
  await t.rejects(other, code('LAB_BAD_FAULT', /"rules-missing" is broken there/));
  const which = mendLab(lab, 'rules-missing');
  await t.rejects(which, code('LAB_BAD_FAULT_PLACE', /demo\/client, demo\/far/));
  await mendAll(lab);
  t.same(await brokenIn(lab), []);
}
